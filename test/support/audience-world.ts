/** A shard's audience with all who are in it, and what the rules say that each of them gets. */
import { assert } from "vitest";
import { TopicFilters } from "../../src/core/topics.ts";
import { closeCodes } from "../../src/protocol/close-codes.ts";
import { Audience } from "../../src/shard/audience.ts";
import { behindMs } from "../../src/shard/laggards.ts";
import { splitBatch, type ShardMessage } from "../../src/shard/messages.ts";
import { ProtocolClient, windowBounds } from "../../src/shard/protocol-client.ts";
import { FakeSocket } from "./fake-socket.ts";
import { ModelClient } from "./model-client.ts";

type Said = { readonly topic: string | null; readonly data: string };
type Logged = Said & { readonly seq: number };
export type Draft = {
  readonly topic: string | null;
  /** `lost`: the room class let no client have it. */
  readonly kind: "logged" | "volatile" | "lost";
  readonly units: number;
};

const history = { messages: 1_000, seconds: 300 };

class PlainMember {
  readonly socket = new FakeSocket();
  readonly filters: TopicFilters;
  readonly expected: string[] = [];

  constructor(filters: TopicFilters) {
    this.filters = filters;
  }
}

export class ProtocolMember {
  readonly model: ModelClient;
  client: ProtocolClient;
  /** From each of these messages on, these filters count. */
  spans: { readonly after: number; readonly filters: TopicFilters }[];
  /** Volatile messages that it may have got, and how many of those it must have. */
  readonly mayHave: string[] = [];
  readonly mustHave: string[] = [];

  constructor(id: string, filters: TopicFilters, after: number) {
    const request = { speaksProtocol: true, resume: null, topics: [...filters] };
    this.model = new ModelClient(id, request, windowBounds.minUnits);
    this.client = new ProtocolClient(id, this.model.socket, filters, after);
    this.model.position = after;
    this.spans = [{ after, filters }];
  }

  /** The messages that the rules give this client, up to one of them. */
  expected(log: readonly Logged[], through: number): string[] {
    const first = this.spans[0]?.after ?? 0;
    const wanted = log.filter(({ seq, topic }) => {
      const span = this.spans.findLast(({ after }) => after < seq);
      return seq > first && seq <= through && span?.filters.lets(topic) === true;
    });
    return wanted.map(({ seq, data }) => `${seq} ${data}`);
  }
}

export class World {
  audience: Audience;
  readonly lost: string[] = [];
  /** Those who did not keep up for too long. */
  readonly late: string[] = [];
  log: Logged[] = [];
  head = 0;
  now = 1_000_000;
  plain: PlainMember[] = [];
  members: ProtocolMember[] = [];
  #count = 0;

  constructor() {
    this.audience = this.#newAudience();
  }

  publish(drafts: readonly Draft[]): void {
    const after = this.head;
    const messages: ShardMessage[] = [];
    for (const { topic, kind, units } of drafts) {
      const isVolatile = kind === "volatile";
      if (!isVolatile) this.head += 1;
      this.#count += 1;
      const data = `m${this.#count}`.padEnd(units, ".");
      if (kind === "lost") continue;
      const seq = isVolatile ? null : this.head;
      messages.push({ seq, topic, data, payload: data });
      if (seq !== null) this.log.push({ seq, topic, data });
    }
    const wereLive = this.members.filter((member) => this.isLive(member));
    const batches = splitBatch(after, this.head, this.now, messages);
    this.audience.deliver(messages, batches, this.head, this.now);
    for (const { filters, expected } of this.plain) {
      expected.push(...messages.filter(({ topic }) => filters.lets(topic)).map(dataOf));
    }
    for (const member of wereLive) {
      const wanted = messages.filter(
        ({ seq, topic }) => seq === null && member.client.filters.lets(topic),
      );
      member.mayHave.push(...wanted.map(dataOf));
      if (this.isLive(member) && member.client.hasRoom) member.mustHave.push(...wanted.map(dataOf));
    }
  }

  joinPlain(filters: readonly string[]): void {
    const member = new PlainMember(new TopicFilters(filters));
    this.plain.push(member);
    this.audience.addPlain(member.socket, member.filters);
  }

  /** Comes in where it was `back` messages ago, as far as the shard can resume it there. */
  join(filters: readonly string[], back: number): ProtocolMember {
    const since = Math.max(0, this.head - back);
    const after = this.audience.recent.since(since) === null ? this.head : since;
    const id = `c${this.#count++}`;
    const member = new ProtocolMember(id, new TopicFilters(filters), after);
    this.members.push(member);
    this.audience.addProtocol(member.client, this.now);
    return member;
  }

  subscribe(member: ProtocolMember, filters: readonly string[]): void {
    const after = this.isLive(member) ? this.head : member.client.sent;
    const next = new TopicFilters(filters);
    member.spans = [...member.spans.filter((span) => span.after < after), { after, filters: next }];
    if (member.spans.length === 1) member.spans.unshift({ after, filters: next });
    this.audience.subscribe(member.client, next, this.now);
  }

  acknowledge(member: ProtocolMember, share: number): void {
    member.model.take();
    const seq = Math.floor((member.model.position * share) / 4);
    member.model.acknowledged(seq);
    assert.isTrue(this.audience.acknowledge(member.client, seq, this.now));
  }

  leave(socket: FakeSocket): void {
    this.audience.remove(socket);
    this.plain = this.plain.filter((member) => member.socket !== socket);
    this.members = this.members.filter((member) => member.model.socket !== socket);
  }

  /**
   * The object loses its memory; sockets, topics and the position are what is left. While somebody
   * lags a timer runs, and it does not.
   */
  hibernate(): void {
    if (this.audience.nextDeadline() !== null) return;
    for (const { model } of this.members) model.take();
    this.audience = this.#newAudience();
    this.audience.recent.restore([], this.head);
    for (const { socket, filters } of this.plain) this.audience.addPlain(socket, filters);
    for (const member of this.members) {
      const { id, socket, filters } = member.client;
      member.client = new ProtocolClient(id, socket, filters, this.head);
      member.model.forgetWindow();
      this.audience.restoreProtocol(member.client);
    }
  }

  pass(ms: number): void {
    this.now += ms;
    const late = this.members.filter(({ client }) => {
      return client.behindSince !== null && client.behindSince + behindMs <= this.now;
    });
    this.late.push(...late.map(({ client }) => client.id));
    this.audience.expire(this.now);
    for (const { model } of late) assert.equal(model.socket.closedWith, closeCodes.tooSlow);
    this.members = this.members.filter((member) => !late.includes(member));
    const next = Math.min(...this.members.map(({ client }) => client.behindSince ?? Infinity));
    assert.isAtMost(this.audience.nextDeadline() ?? Infinity, next + behindMs);
  }

  reset(): void {
    this.check();
    this.audience.reset("e2", this.head % 7, this.now);
    this.head %= 7;
    this.log = [];
    for (const { socket } of this.plain) assert.equal(socket.closedWith, closeCodes.continuityLost);
    this.plain = [];
    for (const member of this.members) {
      const { filters } = member.client;
      member.model.received.length = 0;
      member.spans = [{ after: this.head, filters }];
      member.model.take();
      assert.deepInclude(member.model.others.at(-1), { type: "reset", seq: this.head });
    }
  }

  isLive({ client }: ProtocolMember): boolean {
    return client.behindSince === null;
  }

  check(): void {
    for (const { socket, expected } of this.plain) {
      assert.deepEqual(socket.sent, expected);
      assert.isNull(socket.closedWith);
    }
    for (const member of this.members) {
      member.model.take();
      const { model, client } = member;
      const through = this.isLive(member) ? this.head : client.sent;
      assert.deepEqual(model.received, member.expected(this.log, through));
      assert.isNull(model.socket.closedWith);
      assert.isTrue(isWithin(model.volatile, member.mayHave));
      assert.isTrue(isWithin(member.mustHave, model.volatile));
    }
    assert.equal(this.audience.size, this.plain.length + this.members.length);
  }

  #newAudience(): Audience {
    const onLost = ({ id }: ProtocolClient): void => void this.lost.push(id);
    return new Audience({ onLost, count: () => {} }, history);
  }
}

function dataOf({ data }: ShardMessage): string {
  return String(data);
}

/** Whether all of these are among the others, in their order. */
function isWithin(some: readonly string[], all: readonly string[]): boolean {
  let next = 0;
  for (const each of all) if (each === some[next]) next += 1;
  return next === some.length;
}
