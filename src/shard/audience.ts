/**
 * Who is connected to one shard and what each of them gets: plain sockets every payload, clients of
 * protocol 1 a frame a batch, those who lag what the recent log holds. Owns the recent log. Knows
 * nothing of links, subscriptions or the room class.
 *
 * Clients with the same topic filters are one group, and a frame is encoded once a group; a message
 * finds its groups by an index.
 */
import { DeliveryLog } from "../core/delivery-log.ts";
import type { Socket } from "../core/ports.ts";
import { TopicIndex, type TopicFilters } from "../core/topics.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { MessageData } from "../protocol/payload.ts";
import {
  encodeMessages,
  encodeVolatile,
  splitBatch,
  type ShardBatch,
  type ShardMessage,
} from "./messages.ts";
import { Window, type ProtocolClient } from "./protocol-client.ts";

type Group = {
  readonly filters: TopicFilters;
  readonly plain: Set<Socket>;
  /** Clients of protocol 1 that keep up. */
  readonly live: Set<ProtocolClient>;
  /** The last frame went up to here; what came after it was not for this group. */
  sent: number;
};

/** The recent log answers those who lag or come back; what is older is read from the sequencer. */
const recentBounds = {
  messages: 1_000,
  seconds: 300,
  units: 512 * 1024,
  backlogUnits: 4 * 1024 * 1024,
};
/** A client that has not kept up for so long is closed; it may come back and resume. */
export const behindMs = 30_000;
/** Clients whose topics leave out everything learn their position after so many messages. */
const advanceEvery = 512;

export type AudienceOwner = {
  /** The client was closed because it did not keep up, and is no client any more. */
  readonly onLost: (client: ProtocolClient) => void;
};

export class Audience {
  readonly recent = new DeliveryLog<ShardBatch>(recentBounds);
  /** What each client of protocol 1 may have unacknowledged. */
  readonly window = new Window();
  readonly #groups = new Map<string, Group>();
  #index = new TopicIndex<Group>();
  readonly #groupOfPlain = new Map<Socket, Group>();
  readonly #protocolClients = new Map<Socket, ProtocolClient>();
  readonly #behind = new Set<ProtocolClient>();
  readonly #owner: AudienceOwner;
  #heldFrom: number | null = null;

  constructor(owner: AudienceOwner) {
    this.#owner = owner;
  }

  get size(): number {
    return this.#groupOfPlain.size + this.#protocolClients.size;
  }

  has(socket: Socket): boolean {
    return this.#groupOfPlain.has(socket) || this.#protocolClients.has(socket);
  }

  sockets(): Socket[] {
    return [...this.#groupOfPlain.keys(), ...this.#protocolClients.keys()];
  }

  /** Clients of protocol 1. */
  get protocolClients(): ReadonlyMap<Socket, ProtocolClient> {
    return this.#protocolClients;
  }

  addPlain(socket: Socket, filters: TopicFilters): void {
    const group = this.#group(filters);
    group.plain.add(socket);
    this.#groupOfPlain.set(socket, group);
  }

  /** A client that starts behind the head is sent what it lacks, as fast as it takes it. */
  addProtocol(client: ProtocolClient, now: number): void {
    this.#protocolClients.set(client.socket, client);
    this.window.divide(this.#protocolClients.size);
    this.#catchUp(client, now);
  }

  /**
   * A client that kept up when the object lost its memory. How far the last frame went is forgotten,
   * so the next one covers everything before it, of which nothing was left out.
   */
  restoreProtocol(client: ProtocolClient): void {
    client.forget();
    this.#protocolClients.set(client.socket, client);
    this.window.divide(this.#protocolClients.size);
    const group = this.#group(client.filters);
    group.live.add(client);
    group.sent = 0;
  }

  /**
   * The room is further than was known: what lies between was sent before the object lost its
   * memory. Whoever came since has missed it.
   */
  advance(seq: number): void {
    this.recent.restore([], seq);
    for (const client of this.#protocolClients.values()) {
      if (client.isUnsure) client.skip(seq);
      else if (client.sent < seq) this.#lose(client);
    }
  }

  /** Whether the socket was a client's. */
  remove(socket: Socket): boolean {
    const group = this.#groupOfPlain.get(socket);
    const client = this.#protocolClients.get(socket);
    this.#groupOfPlain.delete(socket);
    this.#protocolClients.delete(socket);
    this.window.divide(this.#protocolClients.size);
    if (group !== undefined) {
      group.plain.delete(socket);
      this.#dropIfEmpty(group);
    }
    if (client !== undefined) this.#detach(client);
    return group !== undefined || client !== undefined;
  }

  /** Changes what a client gets from now on. */
  subscribe(client: ProtocolClient, filters: TopicFilters, now: number): void {
    this.#detach(client);
    client.filters = filters;
    this.#catchUp(client, now);
  }

  /**
   * Sends the messages of one batch, volatile ones in their place. `batches` are the same logged
   * messages for the recent log.
   */
  deliver(
    messages: readonly ShardMessage[],
    batches: readonly ShardBatch[],
    through: number,
    now: number,
  ): void {
    for (const batch of batches) this.recent.append(batch);
    if (messages.every((message) => message.topic === null)) {
      for (const group of this.#groups.values()) this.#send(group, messages, batches, through, now);
    } else {
      for (const [group, wanted] of this.#divide(messages)) {
        this.#send(group, wanted, null, through, now);
      }
    }
    this.#advance(batches[0]?.after ?? through, through);
    this.recent.trim(now, this.#neededAfter());
  }

  /** Keeps the recent log from here on while somebody extends it, or no longer. */
  hold(seq: number | null): void {
    this.#heldFrom = seq;
  }

  /** What a client has acknowledged; false when that is impossible. */
  acknowledge(client: ProtocolClient, seq: number, now: number): boolean {
    const before = client.unacknowledged;
    if (!client.acknowledge(seq)) return false;
    if (this.#behind.has(client) && client.unacknowledged < before) {
      client.behindSince = now;
      this.#catchUp(client, now);
    }
    return true;
  }

  /** Closes those who have not kept up for too long. */
  expire(now: number): void {
    for (const client of this.#behind) {
      if (client.behindSince === null || client.behindSince + behindMs > now) continue;
      this.#lose(client);
    }
  }

  nextDeadline(): number | null {
    let earliest: number | null = null;
    for (const { behindSince } of this.#behind) {
      if (behindSince === null) continue;
      if (earliest === null || behindSince < earliest) earliest = behindSince;
    }
    return earliest === null ? null : earliest + behindMs;
  }

  /** Continuity is lost for everybody: plain sockets are closed, the others told where to go on. */
  reset(epoch: string, seq: number, now: number): void {
    this.recent.restore([], seq);
    for (const socket of this.#groupOfPlain.keys()) {
      close(socket, closeCodes.continuityLost, "messages were lost; connect again");
    }
    this.#groupOfPlain.clear();
    this.#groups.clear();
    this.#index = new TopicIndex();
    this.#behind.clear();
    for (const client of this.#protocolClients.values()) {
      client.send({ type: "reset", epoch, seq, reason: "messages were lost" });
      client.restart(seq);
      this.#catchUp(client, now);
    }
  }

  #group(filters: TopicFilters): Group {
    const known = this.#groups.get(filters.name);
    if (known !== undefined) return known;
    const group: Group = { filters, plain: new Set(), live: new Set(), sent: this.recent.head };
    this.#groups.set(filters.name, group);
    this.#index.add(group, filters);
    return group;
  }

  #dropIfEmpty(group: Group): void {
    if (group.plain.size > 0 || group.live.size > 0) return;
    this.#groups.delete(group.filters.name);
    this.#index.remove(group, group.filters);
  }

  #detach(client: ProtocolClient): void {
    this.#behind.delete(client);
    const group = this.#groups.get(client.filters.name);
    if (group?.live.delete(client) === true) {
      // It kept up: what it was not sent was not for it.
      client.skip(this.recent.head);
      this.#dropIfEmpty(group);
    }
  }

  /** The messages that each group wants, in order, for groups that want any. */
  #divide(messages: readonly ShardMessage[]): Map<Group, ShardMessage[]> {
    const wanted = new Map<Group, ShardMessage[]>();
    for (const message of messages) {
      const groups =
        message.topic === null ? this.#groups.values() : this.#index.find(message.topic);
      for (const group of groups) {
        const list = wanted.get(group);
        if (list === undefined) wanted.set(group, [message]);
        else list.push(message);
      }
    }
    return wanted;
  }

  /** `batches` when the group wants all of them, so that their encoded frames will do. */
  #send(
    group: Group,
    messages: readonly ShardMessage[],
    batches: readonly ShardBatch[] | null,
    through: number,
    now: number,
  ): void {
    for (const socket of group.plain) {
      for (const message of messages) send(socket, message.data);
    }
    if (group.live.size === 0) return;
    const logged = messages.filter((message) => message.seq !== null);
    const isShared = batches !== null && batches[0]?.after === group.sent;
    const own = logged.length === 0 ? [] : splitBatch(group.sent, through, now, logged);
    for (const { frame, through: end, messages: run } of isShared ? batches : own) {
      this.#deliverLive(group, frame, end, run.length, now);
    }
    this.#dropIfEmpty(group);
    if (logged.length === messages.length) return;
    const frame = encodeVolatile(messages.filter((message) => message.seq === null));
    for (const client of group.live) client.sendEncoded(frame);
  }

  #deliverLive(group: Group, frame: string, through: number, count: number, now: number): void {
    group.sent = through;
    for (const client of group.live) {
      client.deliver(frame, through, count);
      if (client.hasRoom) continue;
      group.live.delete(client);
      this.#lag(client, now);
    }
  }

  /** Groups that were sent nothing for long are told their position, or they could not resume. */
  #advance(after: number, through: number): void {
    if (Math.floor(after / advanceEvery) === Math.floor(through / advanceEvery)) return;
    for (const group of this.#groups.values()) {
      if (group.live.size === 0 || group.sent === through) continue;
      group.sent = through;
      for (const client of group.live) {
        client.skip(through);
        client.tellPosition();
      }
    }
  }

  /** Sends what the client lacks while it has room; then it is live, or waits to acknowledge. */
  #catchUp(client: ProtocolClient, now: number): void {
    const batches = this.recent.since(client.sent);
    if (batches === null) {
      this.#lose(client);
      return;
    }
    for (const batch of batches) {
      if (!client.hasRoom) break;
      this.#resend(client, batch);
    }
    if (!client.hasRoom) {
      this.#lag(client, now);
      return;
    }
    client.tellPosition();
    client.behindSince = null;
    this.#behind.delete(client);
    const group = this.#group(client.filters);
    if (group.live.size === 0) group.sent = client.sent;
    group.live.add(client);
  }

  #lag(client: ProtocolClient, now: number): void {
    if (this.#behind.has(client)) return;
    // New topics do not give it more time.
    client.behindSince ??= now;
    this.#behind.add(client);
  }

  #resend(client: ProtocolClient, batch: ShardBatch): void {
    const wanted = batch.messages.filter(
      ({ seq, topic }) => seq !== null && seq > client.sent && client.filters.lets(topic),
    );
    if (wanted.length === 0) client.skip(batch.through);
    else if (batch.after === client.told && wanted.length === batch.messages.length) {
      client.deliver(batch.frame, batch.through, wanted.length);
    } else {
      const frame = encodeMessages(client.told, batch.through, wanted);
      client.deliver(frame, batch.through, wanted.length);
    }
  }

  /** The client cannot be given what it lacks from here: it may come back and resume elsewhere. */
  #lose(client: ProtocolClient): void {
    this.#detach(client);
    this.#protocolClients.delete(client.socket);
    this.window.divide(this.#protocolClients.size);
    client.close(closeCodes.tooSlow, "too far behind; connect again and resume");
    this.#owner.onLost(client);
  }

  /** Those who lag still need what comes after this. */
  #neededAfter(): number {
    let needed = this.#heldFrom ?? this.recent.head;
    for (const client of this.#behind) needed = Math.min(needed, client.sent);
    return needed;
  }
}

function send(socket: Socket, data: MessageData): void {
  try {
    socket.send(data);
  } catch {
    // It is closing; its event is on the way.
  }
}

function close(socket: Socket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // It has closed already.
  }
}
