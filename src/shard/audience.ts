/**
 * Who is connected to one shard and what each of them gets: plain sockets every payload, clients of
 * protocol 1 a frame a batch. Those of them who are behind are `CatchUp`'s. Knows nothing of links,
 * subscriptions or the room class.
 *
 * A frame is encoded once a group of clients with the same topic filters.
 */
import type { DeliveryLog, LogBounds } from "../core/delivery-log.ts";
import type { Socket } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import type { TopicFilters } from "../core/topics.ts";
import { encodeServerFrame, type ServerFrame } from "../protocol/client.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { MessageData } from "../protocol/payload.ts";
import { CatchUp, type Loss } from "./catch-up.ts";
import { Groups, type Group } from "./groups.ts";
import type { Holds } from "./holds.ts";
import { PositionPacing } from "./position-pacing.ts";
import { encodeVolatile, splitBatch, type ShardBatch, type ShardMessage } from "./messages.ts";
import { Window, windowBounds, type ProtocolClient, type WindowBounds } from "./protocol-client.ts";

/** What clients that do not keep up, or come back, may cost a shard. */
export type AudienceBounds = {
  /** The recent log answers those who lag or come back; what is older is read from the sequencer. */
  readonly recent: Pick<LogBounds, "units" | "backlogUnits">;
  readonly window: WindowBounds;
};

export const audienceBounds: AudienceBounds = {
  recent: { units: 512 * 1024, backlogUnits: 4 * 1024 * 1024 },
  window: windowBounds,
};

export type AudienceOwner = {
  /** The client was closed because it did not keep up, and is no client any more. */
  readonly onLost: (client: ProtocolClient) => void;
  /** Something happened that operators should know of. */
  readonly count: (what: string) => void;
};

export class Audience {
  /** What each client of protocol 1 may have unacknowledged. */
  readonly window: Window;
  readonly #catchUp: CatchUp;
  readonly #groups = new Groups();
  readonly #groupOfPlain = new Map<Socket, Group>();
  readonly #protocolClients = new Map<Socket, ProtocolClient>();
  readonly #owner: AudienceOwner;
  readonly #pacing: PositionPacing;

  /** The recent log promises no more than the room's history does. */
  constructor(owner: AudienceOwner, history: RoomType["history"], bounds = audienceBounds) {
    this.#owner = owner;
    this.#pacing = new PositionPacing(history);
    this.#catchUp = new CatchUp(
      { ...history, ...bounds.recent },
      {
        onCaughtUp: (client) => this.#join(client),
        onLost: (client, why) => this.#lose(client, why),
        count: owner.count,
      },
    );
    this.window = new Window(bounds.window);
  }

  /** What was sent lately. */
  get recent(): DeliveryLog<ShardBatch> {
    return this.#catchUp.recent;
  }

  /** What of that is kept for those who come. */
  get holds(): Holds {
    return this.#catchUp.holds;
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
    const group = this.#groups.of(filters, this.recent.head);
    group.plain.add(socket);
    this.#groupOfPlain.set(socket, group);
  }

  /** A client that starts behind the head is sent what it lacks, as fast as it takes it. */
  addProtocol(client: ProtocolClient, now: number): void {
    this.#protocolClients.set(client.socket, client);
    this.window.divide(this.#protocolClients.size);
    this.#catchUp.bring(client, now);
  }

  /**
   * A client that kept up when the object lost its memory. How far the last frame went is forgotten,
   * so the next one covers everything before it, of which nothing was left out.
   */
  restoreProtocol(client: ProtocolClient): void {
    client.forget();
    this.#pacing.forget();
    this.#protocolClients.set(client.socket, client);
    this.window.divide(this.#protocolClients.size);
    const group = this.#groups.of(client.filters, this.recent.head);
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
      else if (client.sent < seq) this.#lose(client, "outrun_clients_closed");
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
      this.#groups.dropIfEmpty(group);
    }
    if (client !== undefined) this.#detach(client);
    return group !== undefined || client !== undefined;
  }

  /** Changes what a client gets from now on. */
  subscribe(client: ProtocolClient, filters: TopicFilters, now: number): void {
    this.#detach(client);
    client.filters = filters;
    this.#catchUp.bring(client, now);
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
    this.#catchUp.append(batches);
    if (messages.every((message) => message.topic === null)) {
      for (const group of this.#groups) this.#send(group, messages, batches, through, now);
    } else {
      for (const [group, wanted] of this.#groups.divide(messages)) {
        this.#send(group, wanted, null, through, now);
      }
    }
    const after = batches[0]?.after ?? through;
    if (this.#pacing.isDue(after, through, now)) this.#tellPosition(through);
    this.trim(now);
  }

  /** Forgets what is too old of what was sent, and nobody needs. */
  trim(now: number): void {
    this.#catchUp.trim(now);
  }

  /**
   * Sends what has no number and must not be left out. A client that lets it pile up far past its
   * window is closed.
   */
  say(client: ProtocolClient, frame: ServerFrame, now: number): void {
    if (this.#protocolClients.get(client.socket) !== client) return;
    if (client.isFlooded) this.#lose(client, "stalled_clients_closed");
    else client.say(encodeServerFrame(frame), now);
  }

  /** What a client has acknowledged; false when that is impossible. */
  acknowledge(client: ProtocolClient, seq: number, now: number): boolean {
    const before = client.unacknowledged;
    if (!client.acknowledge(seq)) return false;
    this.#catchUp.acknowledged(client, before, now);
    return true;
  }

  /** Whether the room is faster than its clients: of those that make progress more than half lag. */
  isOverrun(now: number): boolean {
    return this.#catchUp.isOverrun(this.#protocolClients.size, now);
  }

  /** Closes those who have not kept up for too long. */
  expire(now: number): void {
    this.#catchUp.expire(now);
  }

  nextDeadline(): number | null {
    return this.#catchUp.nextDeadline();
  }

  /** Continuity is lost for everybody: plain sockets are closed, the others told where to go on. */
  reset(epoch: string, seq: number, now: number): void {
    this.#catchUp.restart(seq);
    for (const socket of this.#groupOfPlain.keys()) {
      close(socket, closeCodes.continuityLost, "messages were lost; connect again");
    }
    this.#groupOfPlain.clear();
    this.#groups.clear();
    for (const client of this.#protocolClients.values()) {
      client.send({ type: "reset", epoch, seq, reason: "messages were lost" });
      client.restart(seq);
      this.#catchUp.bring(client, now);
    }
  }

  #detach(client: ProtocolClient): void {
    this.#catchUp.drop(client);
    const group = this.#groups.find(client.filters);
    if (group?.live.delete(client) === true) {
      // It kept up: what it was not sent was not for it.
      client.skip(this.recent.head);
      this.#groups.dropIfEmpty(group);
    }
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
    if (isShared) for (const batch of batches) this.#deliverLive(group, batch, now);
    else if (logged.length > 0) {
      const own = splitBatch(group.sent, through, now, logged);
      for (const batch of own) this.#deliverLive(group, batch, now);
    }
    this.#groups.dropIfEmpty(group);
    if (logged.length === messages.length) return;
    const frame = encodeVolatile(messages.filter((message) => message.seq === null));
    // They may be lost, and a client that does not keep up with them loses them.
    for (const client of group.live) if (client.hasRoom) client.say(frame, now);
  }

  #deliverLive(group: Group, { frame, through, count }: ShardBatch, now: number): void {
    group.sent = through;
    for (const client of group.live) {
      client.deliver(frame, through, count, now);
      if (client.hasRoom) continue;
      group.live.delete(client);
      this.#catchUp.lag(client, now);
    }
  }

  /** Groups that were sent nothing for long are told their position. */
  #tellPosition(through: number): void {
    for (const group of this.#groups) {
      if (group.live.size === 0 || group.sent === through) continue;
      group.sent = through;
      for (const client of group.live) {
        client.skip(through);
        client.tellPosition();
      }
    }
  }

  /** The client keeps up from now on. */
  #join(client: ProtocolClient): void {
    const group = this.#groups.of(client.filters, this.recent.head);
    if (group.live.size === 0) group.sent = client.sent;
    group.live.add(client);
  }

  /** The client cannot be given what it lacks from here: it may come back and resume elsewhere. */
  #lose(client: ProtocolClient, why: Loss): void {
    this.#owner.count(why);
    this.#detach(client);
    this.#protocolClients.delete(client.socket);
    this.window.divide(this.#protocolClients.size);
    client.close(closeCodes.tooSlow, "too far behind; connect again and resume");
    this.#owner.onLost(client);
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
