/**
 * A client of protocol 1 as the protocol wants it: keeps its position, comes back and resumes, drops
 * what it has, acknowledges by volume, repeats what was not answered. Judges what it is sent by the
 * protocol alone; what the room's messages are it learns at rest.
 */
import { mayReconnect } from "../../src/protocol/close-codes.ts";
import {
  ackEvery,
  encodeClientFrame,
  parseServerFrame,
  type ServerFrame,
} from "../../src/protocol/client.ts";
import type { Position } from "../../src/protocol/link.ts";
import { decodePayload, type MessageData } from "../../src/protocol/payload.ts";
import type { Client, ClientEnd } from "./client.ts";
import { textOf } from "./durable-log.ts";
import { Violation } from "./environment.ts";
import { UpgradeResponse, type Outside } from "./outside.ts";
import { Publishes } from "./publishes.ts";
import type { World } from "./world.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

/** What was taken since the client was last told that continuity is lost. */
export type Run = {
  readonly start: number;
  readonly taken: [seq: number, text: string][];
  /** The client asked for other topics on the way. */
  hasChangedTopics: boolean;
};

/** A well room takes everybody sooner. */
const maxRefusals = 100;

export class ReferenceClient implements ClientEnd {
  readonly name: string;
  readonly publishes: Publishes;
  topics: readonly string[];
  position: Position | null;
  run: Run | null = null;
  socket: Client | null = null;
  /** Welcomed on its socket. */
  isWelcomed = false;
  /** Is to be connected, or will be. */
  isWanting = true;
  /** Sent what is not of the protocol, and is to be turned out for it. */
  hasMisbehaved = false;
  /** Its position is none that there ever was, so it cannot be continued. */
  isAstray: boolean;
  /** The last welcome went on where the client was. */
  hasRecovered = false;
  readonly #world: World;
  readonly #outside: Outside;
  #isKnocking = false;
  #isSlow = false;
  #messages = 0;
  #units = 0;
  #refusals = 0;
  #askedTopics: readonly string[] = [];

  constructor(
    world: World,
    outside: Outside,
    start: Pick<ReferenceClient, "name" | "topics"> & { astray: Position | null },
  ) {
    this.#world = world;
    this.#outside = outside;
    this.name = start.name;
    this.topics = start.topics;
    this.position = start.astray;
    this.isAstray = start.astray !== null;
    this.publishes = new Publishes(world, start.name, (frame) => {
      if (this.isWelcomed) this.socket?.say(encodeClientFrame(frame));
      return this.isWelcomed;
    });
    void this.#knock();
  }

  /** Leaves, and comes back after a while, or not at all (`null`). */
  leave(forMs: number | null): void {
    if (!this.isWanting) return;
    this.isWanting = false;
    this.#forgetSocket()?.leave();
    if (forMs !== null) this.#world.timeline.after(forMs, () => this.#return());
  }

  /** The network is cut. The client may notice at once, and be back before the shard knows. */
  cut(isNoticed: boolean): void {
    const socket = isNoticed ? this.#forgetSocket() : this.socket;
    socket?.break();
    if (isNoticed) void this.#knock();
  }

  /** Takes what comes, and acknowledges nothing for a while. */
  stall(forMs: number): void {
    if (this.#isSlow) return;
    this.#isSlow = true;
    this.#world.timeline.after(forMs, () => {
      this.#isSlow = false;
      this.#acknowledge();
    });
  }

  subscribe(topics: readonly string[]): void {
    this.topics = topics;
    if (this.run !== null) this.run.hasChangedTopics = true;
    if (this.isWelcomed) this.#sendTopics();
  }

  ping(): void {
    if (this.isWelcomed) this.socket?.say("ping");
  }

  misbehave(data: MessageData): void {
    if (!this.isWelcomed) return;
    this.hasMisbehaved = true;
    this.socket?.say(data);
  }

  received(socket: Client, data: MessageData): void {
    if (socket !== this.socket || data === "pong") return;
    const frame = parseServerFrame(textOf(data));
    if (!frame.ok) throw new Violation("PR5", `${this.name} got ${textOf(data)}`);
    if (frame.value.type === "welcome") return this.#takeWelcome(frame.value);
    if (!this.isWelcomed) throw new Violation("PR1", `${this.name} was not welcomed first`);
    this.#units += textOf(data).length;
    this.#take(frame.value);
    this.#acknowledge();
  }

  closed(socket: Client, code: number | null): void {
    if (socket !== this.socket) return;
    this.#forgetSocket();
    if (code !== null && !mayReconnect(code)) {
      if (!this.hasMisbehaved)
        throw new Violation("PR11", `${this.name} was told to stop: ${code}`);
      this.isWanting = false;
      return;
    }
    this.#knockLater(10);
  }

  #take(frame: ServerFrame): void {
    switch (frame.type) {
      case "messages":
        return this.#takeMessages(frame);
      case "reset":
        return this.#goOnFrom(frame, this.run?.hasChangedTopics ?? false);
      case "published":
      case "rejected":
        return this.publishes.answered(frame);
      case "volatile":
        return;
      case "welcome":
      case "local":
      case "redirect":
        throw new Violation("PR1", `${this.name} got ${frame.type}`);
    }
  }

  #takeWelcome({ epoch, seq, recovered }: FrameOf<"welcome">): void {
    if (this.isWelcomed) throw new Violation("PR1", `${this.name} was welcomed twice`);
    const { position } = this;
    if (recovered && (this.isAstray || position?.epoch !== epoch || position.seq !== seq)) {
      throw new Violation(this.isAstray ? "PR3" : "PR2", `${this.name} was not at ${seq}`);
    }
    if (!recovered) this.#goOnFrom({ epoch, seq }, this.topics !== this.#askedTopics);
    this.isAstray = false;
    this.isWelcomed = true;
    this.hasRecovered = recovered;
    this.#refusals = 0;
    this.#messages = 0;
    this.#units = 0;
    if (this.topics !== this.#askedTopics) this.#sendTopics();
    this.publishes.repeat();
  }

  #takeMessages({ after, through, data, seq: numbers }: FrameOf<"messages">): void {
    const { position, run } = this;
    if (position === null || run === null || after > position.seq) {
      throw new Violation("PR2", `${this.name} at ${position?.seq} lacks what is before ${after}`);
    }
    for (const [index, payload] of data.entries()) {
      const seq = numbers?.[index] ?? after + 1 + index;
      if (seq > position.seq) run.taken.push([seq, textOf(decodePayload(payload))]);
    }
    this.#messages += data.length;
    this.position = { ...position, seq: Math.max(position.seq, through) };
  }

  #goOnFrom({ epoch, seq }: Position, hasChangedTopics: boolean): void {
    this.position = { epoch, seq };
    this.run = { start: seq, taken: [], hasChangedTopics };
  }

  #acknowledge(): void {
    const { position } = this;
    if (this.#isSlow || !this.isWelcomed || position === null) return;
    if (this.#messages < ackEvery.messages && this.#units < ackEvery.units) return;
    this.#messages = 0;
    this.#units = 0;
    this.socket?.say(encodeClientFrame({ type: "ack", seq: position.seq }));
  }

  #sendTopics(): void {
    this.socket?.say(encodeClientFrame({ type: "subscribe", topics: [...this.topics] }));
  }

  #return(): void {
    this.isWanting = true;
    void this.#knock();
  }

  #forgetSocket(): Client | null {
    const { socket } = this;
    this.socket = null;
    this.isWelcomed = false;
    return socket;
  }

  #knockLater(atLeastMs: number): void {
    const { timeline, random } = this.#world;
    timeline.after(random.between(atLeastMs, 3_000), () => void this.#knock());
  }

  async #knock(): Promise<void> {
    if (this.#isKnocking || this.socket !== null || !this.isWanting) return;
    this.#isKnocking = true;
    this.#askedTopics = this.topics;
    const query = new URLSearchParams({ protocol: "1", _pk: this.name });
    if (this.topics.length > 0) query.set("topics", this.topics.join(","));
    if (this.position !== null) {
      query.set("epoch", this.position.epoch);
      query.set("since", String(this.position.seq));
    }
    try {
      this.#enter(await this.#outside.upgrade(query.toString()));
    } catch (error) {
      this.#world.fail(error);
    }
  }

  #enter(response: Response): void {
    this.#isKnocking = false;
    if (!(response instanceof UpgradeResponse)) return this.#refused(response.status);
    const { client } = response;
    client.owner = this;
    if (this.isWanting) this.socket = client;
    client.open();
    if (!this.isWanting) client.leave();
  }

  #refused(status: number): void {
    if (status !== 503) throw new Violation("FA1", `${this.name} was refused with ${status}`);
    this.#refusals += this.#world.network.isHealed ? 1 : 0;
    if (this.#refusals <= maxRefusals) return this.#knockLater(100);
    // A full room may turn somebody away.
    const open = this.#world.clients.filter((client) => client.isOpen).length;
    if (open < this.#world.placesTried) {
      throw new Violation("PR2", `${this.name} is kept out`);
    }
    this.isWanting = false;
  }
}
