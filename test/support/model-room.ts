/**
 * A client's state machine in a model of a room: a log with epochs and a bounded history, a shard
 * that may be slow, repeat itself, lose frames, fall silent, die or forget, and a network that cuts.
 * It fails as soon as the client has not handed over exactly the room's messages, in order, from
 * where it was last told that it is.
 */
import { assert } from "vitest";
import { seriesOf } from "../../src/core/idempotency.ts";
import {
  encodeServerFrame,
  parseClientFrame,
  type ServerFrame,
} from "../../src/protocol/client.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { Payload } from "../../src/protocol/payload.ts";
import {
  initialState,
  wakeAt,
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
} from "../../client/connection-state.ts";
import { step } from "../../client/connection.ts";
import type { Answer } from "../../client/outbox.ts";
import { defaultSettings } from "../../client/settings.ts";
import { ModelLog, type Entry } from "./model-log.ts";

function textOf(data: Payload): string {
  return typeof data === "string" ? data : data.base64;
}

/** The shard's end of a connection: what it still has to say, and up to where it has said. */
type Conversation = {
  readonly query: Readonly<Record<string, string | null | undefined>>;
  isOpen: boolean;
  /** The shard hears nothing and is not heard, and nobody has noticed. */
  isSilent: boolean;
  sent: number;
  /** How far it had said in a former life of the log: acknowledgements of that may still come. */
  formerlySent: number;
  queue: string[];
};

/** A request that brought no answer for so long has failed. */
const requestMs = 15_000;

export class ModelRoom {
  #log = new ModelLog("epoch-1");
  readonly #logs = [this.#log];
  readonly #topics: string[];
  readonly #history: number;
  #state: ConnectionState;
  #now = 1_000_000;
  #random = 0;
  #conversation: Conversation | null = null;
  #posts: { readonly effect: Effect & { type: "post" }; readonly endsAt: number }[] = [];
  /** Where the application is, as it was told. */
  #cursor: Position | null = null;
  /** The message of each publish, by its id. */
  readonly #texts = new Map<string, string>();
  readonly #settled = new Map<string, { readonly ok: boolean; readonly seq: number }>();
  #published = 0;
  /** The next publishes over the socket that are refused for the moment. */
  #refusals = 0;
  #hasRefused = false;
  delivered = 0;
  resets = 0;
  resumes = 0;
  posts = 0;

  constructor(publish: "http" | "socket", topics: string[], history: number) {
    this.#topics = topics;
    this.#history = history;
    this.#state = initialState({ ...defaultSettings, publish }, topics, null);
    this.#take({ type: "start", code: 1000, reason: "" });
  }

  // What the room does.

  write(count: number, topic: string | undefined): void {
    for (let index = 0; index < count; index += 1) {
      this.#log.append(`${this.#log.epoch} ${this.#log.last + 1}`, topic);
    }
    this.#trim();
    this.#send();
  }

  #trim(): void {
    this.#log.trimmed = Math.max(this.#log.trimmed, this.#log.last - this.#history);
  }

  /** What was not sent yet goes out as one frame. */
  #send(upTo = this.#log.last): void {
    const conversation = this.#conversation;
    if (conversation === null || !conversation.isOpen) return;
    if (conversation.sent >= upTo) return;
    this.#sendRange(conversation, conversation.sent, upTo);
    conversation.sent = upTo;
  }

  #sendRange(conversation: Conversation, after: number, through: number): void {
    const range = this.#log.entries.slice(after, through);
    const present = range.filter((entry) => this.#isWanted(entry));
    const data = present.map((entry) => entry.data);
    const isWhole = present.length === range.length;
    const seq = present.map((entry) => entry.seq);
    const frame = { type: "messages", after, through, data } as const;
    this.#say(conversation, isWhole ? frame : { ...frame, seq });
  }

  #isWanted({ topic }: Entry): boolean {
    return topic === undefined || this.#topics.includes(topic);
  }

  #say(conversation: Conversation, frame: ServerFrame): void {
    conversation.queue.push(encodeServerFrame(frame));
  }

  /** The shard sends again what it sent. */
  repeat(back: number): void {
    const conversation = this.#conversation;
    if (conversation === null || !conversation.isOpen) return;
    const after = Math.max(this.#log.trimmed, conversation.sent - back);
    const through = conversation.sent - Math.floor(back / 3);
    if (after < through) this.#sendRange(conversation, after, through);
  }

  /** A frame on its way is lost, although the connection stays. */
  loseFrame(type: "messages" | "published"): void {
    const queue = this.#conversation?.queue ?? [];
    const index = queue.findIndex((text) => text.startsWith(`{"type":"${type}"`));
    if (index !== -1) queue.splice(index, 1);
  }

  garble(text: string): void {
    if (this.#conversation?.isOpen === true) this.#conversation.queue.push(text);
  }

  /** The log begins a new life; the shard tells its clients, or drops them. */
  rebirth(tells: boolean, kept: number): void {
    this.#log = new ModelLog(`epoch-${this.#logs.length + 1}`);
    this.#logs.push(this.#log);
    for (let seq = 1; seq <= kept; seq += 1) this.#log.append(`old ${seq}`, undefined);
    this.#trim();
    const conversation = this.#conversation;
    if (conversation === null) return;
    if (!tells || !conversation.isOpen) return this.cut(4001);
    conversation.formerlySent = Math.max(conversation.formerlySent, conversation.sent);
    conversation.sent = this.#log.last;
    const { epoch, last: seq } = this.#log;
    this.#say(conversation, { type: "reset", epoch, seq, reason: "restored" });
  }

  redirect(): void {
    if (this.#conversation?.isOpen !== true) return;
    this.#say(this.#conversation, { type: "redirect", url: "wss://other/parties/router/room" });
  }

  /** The shard takes the connection, welcomes the client and begins its replay. */
  accept(replay: number): void {
    const conversation = this.#conversation;
    if (conversation === null || conversation.isOpen) return;
    conversation.isOpen = true;
    this.#take({ type: "opened" });
    if (this.#conversation !== conversation) return;
    const { epoch, since } = conversation.query;
    const from = Number(since);
    const { last, trimmed } = this.#log;
    const recovered = epoch === this.#log.epoch && from >= trimmed && from <= last;
    conversation.sent = recovered ? from : last;
    const names = { connection: "c", shard: "room-1" };
    const place = { epoch: this.#log.epoch, seq: conversation.sent };
    this.#say(conversation, { type: "welcome", protocol: 1, ...names, ...place, recovered });
    this.#send(Math.min(last, conversation.sent + replay));
  }

  /** After its pause the client is welcomed, and has `count` frames of its replay. */
  comeBack(count: number): void {
    if (this.#state.link.phase === "waiting") this.pass(wakeAt(this.#state) - this.#now);
    this.accept(count);
    this.deliver(1 + count);
  }

  /** The connection, or the attempt at one, breaks for both. */
  cut(code: number): void {
    if (this.#conversation === null) return;
    this.#conversation = null;
    this.#take({ type: "closed", code, reason: "" });
  }

  /** The connection breaks, and neither end notices. */
  fallSilent(): void {
    if (this.#conversation !== null) this.#conversation.isSilent = true;
  }

  // What the network does.

  deliver(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const conversation = this.#conversation;
      if (conversation === null || conversation.isSilent) return;
      const data = conversation.queue.shift();
      if (data === undefined) return;
      this.#take({ type: "received", data });
    }
  }

  answerPost(how: "ok" | "never arrived" | "answer lost" | "busy"): void {
    const post = this.#posts.shift();
    if (post === undefined) return;
    let answer: Answer = { ok: false };
    if (how === "ok" || how === "answer lost") {
      const { id, data, topic } = post.effect;
      const seq = this.#log.appendOnce(textOf(data), topic, id);
      this.#trim();
      this.#send();
      if (how === "ok" && seq !== null)
        answer = { ok: true, value: { epoch: this.#log.epoch, seq } };
    }
    if (how === "busy") {
      const problem = { type: "urn:busy", title: "busy", status: 503, detail: "" };
      answer = { ok: false, problem, retryAfterMs: 2_000 };
    }
    this.#take({ type: "answered", id: post.effect.id, answer });
  }

  pass(ms: number): void {
    const until = this.#now + ms;
    for (let events = 0; this.#nextAt() <= until; events += 1) {
      // A clock that stands still would be a busy loop.
      assert.isBelow(events, 500);
      this.#now = Math.max(this.#now, this.#nextAt());
      const isLate = (this.#posts[0]?.endsAt ?? Infinity) <= this.#now;
      if (isLate) this.answerPost("never arrived");
      else this.#take({ type: "tick" });
    }
    this.#now = until;
  }

  #nextAt(): number {
    return Math.min(wakeAt(this.#state), this.#posts[0]?.endsAt ?? Infinity);
  }

  // What the application does.

  /** Every third id is the application's own, and not one to be taken for a number. */
  publish(): void {
    this.#published += 1;
    const number = this.#published;
    const id = number % 3 === 0 ? `own:${1_000 - number}` : `~model:${number}`;
    const data = `p${number}`;
    this.#texts.set(id, data);
    this.#take({ type: "publish", id, number, data });
  }

  /** The oldest wait for their repeat while many after them have their answers. */
  flood(refusals: number): void {
    const { settings, publishes } = this.#state;
    if (settings.publish === "http" || publishes.length > 200) return;
    this.#refusals = refusals;
    for (let count = 0; count < 70; count += 1) this.publish();
    this.deliver(Infinity);
  }

  reconnect(): void {
    this.#take({ type: "start", code: 1000, reason: "" });
  }

  draw(random: number): void {
    this.#random = random;
  }

  #take(event: ConnectionEvent): void {
    const before = this.#state;
    const result = step(before, event, { now: this.#now, random: this.#random });
    this.#state = result.state;
    for (const effect of result.effects) this.#perform(effect);
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "connect": {
        const { query } = effect;
        const none = { sent: 0, formerlySent: 0, queue: [] };
        this.#conversation = { query, isOpen: false, isSilent: false, ...none };
        return;
      }
      case "disconnect":
        this.#conversation = null;
        return;
      case "transmit":
        return this.#hear(effect.text);
      case "post":
        this.posts += 1;
        this.#posts.push({ effect, endsAt: this.#now + requestMs });
        // Another only where one was given up whose request has not yet ended.
        assert.lengthOf(
          this.#posts.filter((post) => !this.#settled.has(post.effect.id)),
          1,
        );
        return;
      case "deliver":
        return this.#check(effect.data, effect.position);
      case "tell":
        return this.#tell(effect);
      case "settle": {
        const { outcome, id } = effect;
        assert.strictEqual(this.#settled.has(id), false);
        if (!outcome.ok) assert.strictEqual(outcome.code, "unanswered");
        this.#settled.set(id, { ok: outcome.ok, seq: outcome.ok ? outcome.value.seq : 0 });
        return;
      }
      case "closed":
        return;
    }
  }

  /** What the client says to its shard. */
  #hear(text: string): void {
    const conversation = this.#conversation;
    if (conversation === null || conversation.isSilent) return;
    if (text === "ping") {
      conversation.queue.push("pong");
      return;
    }
    const parsed = parseClientFrame(text);
    if (!parsed.ok) throw new Error(parsed.detail);
    const frame = parsed.value;
    if (frame.type === "ack") {
      assert.isAtMost(frame.seq, Math.max(conversation.sent, conversation.formerlySent));
    }
    if (frame.type !== "publish") return;
    const { id, data, topic } = frame;
    if (this.#refusals > 0) {
      this.#refusals -= 1;
      this.#hasRefused = true;
      return this.#reject(conversation, id, 503);
    }
    const seq = this.#log.appendOnce(textOf(data), topic, id, seriesOf(id, "c"));
    this.#trim();
    this.#send();
    if (seq === null) return this.#reject(conversation, id, 422);
    this.#say(conversation, { type: "published", id, seq });
  }

  #reject(conversation: Conversation, id: string, status: number): void {
    const problem = { type: "urn:x", title: "refused", status, detail: "" };
    this.#say(conversation, { type: "rejected", id, problem });
  }

  #tell(effect: Effect & { type: "tell" }): void {
    if (effect.what === "open") {
      // Without a position the first one is where the client begins.
      this.#cursor ??= this.#state.position;
      return;
    }
    if (effect.what === "reset") {
      this.resets += 1;
      this.#expectAt(effect.detail.previous);
      this.#cursor = effect.detail.position;
    } else {
      this.resumes += 1;
      this.#expectAt(effect.detail.position);
    }
  }

  /** The client is where the application is, or past what its topics leave out. */
  #expectAt(position: Position | null): void {
    const cursor = this.#cursor;
    if (cursor === null || position === null) throw new Error("told before any position");
    assert.strictEqual(position.epoch, cursor.epoch);
    assert.isAtLeast(position.seq, cursor.seq);
    assert.isAbove(this.#nextAfter(cursor) ?? Infinity, position.seq);
  }

  #check(data: Payload, position: Position | null): void {
    assert.isNotNull(position);
    const cursor = this.#cursor;
    if (position === null || cursor === null) throw new Error("a message before any position");
    assert.strictEqual(position.epoch, cursor.epoch);
    assert.strictEqual(position.seq, this.#nextAfter(cursor));
    assert.strictEqual(data, this.#entries(cursor.epoch)[position.seq - 1]?.data);
    this.#cursor = position;
    this.delivered += 1;
  }

  #entries(epoch: string): readonly Entry[] {
    return this.#logs.find((log) => log.epoch === epoch)?.entries ?? [];
  }

  /** The next message that the client wants, or `undefined` at the end of that life of the log. */
  #nextAfter({ epoch, seq }: Position): number | undefined {
    return this.#entries(epoch).find((entry) => entry.seq > seq && this.#isWanted(entry))?.seq;
  }

  /**
   * Everything works from now on: in the end the client has everything. A last message shows what
   * was lost before it.
   */
  heal(): void {
    this.write(1, undefined);
    for (let round = 0; round < 200 + this.#published && !this.#isDone(); round += 1) {
      this.accept(Infinity);
      this.deliver(Infinity);
      this.answerPost("ok");
      if (!this.#isDone()) this.pass(Math.max(0, this.#nextAt() - this.#now));
    }
    assert.strictEqual(this.#isDone(), true);
    assert.deepEqual(this.#state.position, { epoch: this.#log.epoch, seq: this.#log.last });
    const cursor = this.#cursor;
    assert.isUndefined(cursor === null ? "none" : this.#nextAfter(cursor));
    this.#checkPublishes();
  }

  #isDone(): boolean {
    const conversation = this.#conversation;
    return (
      this.#state.link.phase === "open" &&
      this.#settled.size === this.#published &&
      conversation !== null &&
      conversation.queue.length === 0 &&
      !conversation.isSilent &&
      conversation.sent === this.#log.last
    );
  }

  #checkPublishes(): void {
    for (const log of this.#logs) {
      const texts = log.entries.map(({ data }) => data).filter((data) => /^p\d/.test(data));
      assert.strictEqual(new Set(texts).size, texts.length);
      // A new life has forgotten the keys, and takes what the one before it had for new. Over the
      // socket what is refused for the moment is overtaken.
      if (this.#logs.length > 1 || this.#hasRefused) continue;
      const answered = new Set(
        [...this.#settled].filter(([, { ok }]) => ok).map(([id]) => this.#texts.get(id)),
      );
      const numbers = texts.filter((text) => answered.has(text)).map((text) => +text.slice(1));
      assert.deepEqual(
        numbers,
        numbers.toSorted((one, other) => one - other),
      );
    }
    for (const [id, { ok, seq }] of this.#settled) {
      const isThere = this.#logs.some((log) => log.entries[seq - 1]?.data === this.#texts.get(id));
      if (ok) assert.strictEqual(isThere, true);
    }
  }
}
