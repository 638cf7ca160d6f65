/**
 * One shard of a room: admits clients up to its capacity, takes the room's messages from the
 * sequencer's link, and has them sent. Knows nothing of other shards and nothing of the room class
 * but its broadcast hook.
 *
 * The order of one connect: `admit`, then the host accepts the socket and calls `welcome` in the
 * same turn; or `release` when the socket came to nothing.
 */
import * as v from "valibot";
import { backoffMs } from "../core/backoff.ts";
import { Counters } from "../core/counters.ts";
import type { ObjectPorts, Socket } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import type { AnyReply, RequestTo, Subscribed } from "../protocol/calls.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import {
  encodeFrame,
  FrameAssembler,
  parseFrameToShard,
  positionSchema,
  type FrameToShard,
  type Position,
} from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import { Admission } from "./admission.ts";
import { FanOut, type Applied, type BroadcastHook } from "./fan-out.ts";
import { LoadReporter } from "./load-reporter.ts";
import { Subscription } from "./subscription.ts";

/** After the last client has left for so long, the shard unsubscribes. */
const lingerMs = 5_000;
const renewBounds = { baseMs: 200, maxMs: 30_000 };

/** The shard's end of a link. The position kept with it outlives the object's memory. */
export interface IncomingLink extends Socket {
  readonly position: Position | null;
  keep(position: Position): void;
}

export type ShardPorts = ObjectPorts & {
  /** The registry object that keeps this room. */
  readonly registry: string;
  readonly onBroadcast?: BroadcastHook;
  readonly onHookError: (error: unknown) => void;
};

/** What outlives the object's memory, written when a subscription begins and when a link ends. */
const rowSchema = v.object({ subscription: v.string(), position: positionSchema });

type Link = { readonly socket: IncomingLink; readonly assembler: FrameAssembler };

export class Shard {
  readonly #ports: ShardPorts;
  readonly #fanOut: FanOut;
  readonly #subscription: Subscription;
  readonly #reporter: LoadReporter;
  readonly #counters = new Counters();
  readonly #admission: Admission;
  #link: Link | null = null;
  /** Links that ended as they should, or whose end has been seen to. */
  readonly #ended = new WeakSet<IncomingLink>();
  /** Frames wait here while the room class is at work on the one before them. */
  #working: Promise<void> | null = null;
  #lingerUntil: number | null = null;
  #renewAt: number | null = null;
  #renewals = 0;

  private constructor(id: ShardId, type: RoomType, ports: ShardPorts) {
    this.#ports = ports;
    this.#fanOut = new FanOut({
      ...(ports.onBroadcast === undefined ? {} : { onBroadcast: ports.onBroadcast }),
      onHookError: (error) => {
        this.#counters.increment("room_hook_errors");
        ports.onHookError(error);
      },
    });
    this.#admission = new Admission(type.capacity, () => this.connections);
    this.#subscription = new Subscription(id, ports.calls, (subscribed) =>
      this.#handleSubscribed(subscribed),
    );
    this.#reporter = new LoadReporter({
      shard: id,
      registry: ports.registry,
      leaseIntervalMs: type.heartbeatIntervalMs,
      clock: ports.clock,
      entropy: ports.entropy,
      calls: ports.calls,
      connections: () => this.connections,
      counters: this.#counters,
      wakeAt: () => this.#armWake(),
    });
  }

  /** `clients` and `links` are the sockets that outlived the object's memory. */
  static async start(
    id: ShardId,
    type: RoomType,
    ports: ShardPorts,
    clients: Iterable<Socket>,
    links: Iterable<IncomingLink>,
  ): Promise<Shard> {
    const shard = new Shard(id, type, ports);
    await shard.#restore(clients, links);
    return shard;
  }

  get connections(): number {
    return this.#fanOut.clients.size;
  }

  handle(request: RequestTo<"shard">): Result<AnyReply<"shard">> {
    if (request.type === "load") return success({ connections: this.connections });
    const isHeld = this.#admission.hold(request.connection, this.#ports.clock.now());
    return isHeld ? success(null) : failure("full", "the shard is full");
  }

  /** Takes one of the shard's places, and subscribes before the first client is welcomed. */
  async admit(connection: string): Promise<Result<null, "full" | "unavailable">> {
    const hasEntered = this.#admission.enter(connection, this.#ports.clock.now());
    if (!hasEntered) return failure("full", "the shard is full");
    const subscribed = await this.#subscription.ensure();
    if (subscribed.ok) return success(null);
    this.release();
    return failure("unavailable", "the room's sequencer cannot be reached");
  }

  /** Gives an admitted place back. */
  release(): void {
    this.#admission.entered();
    this.#lingerIfEmpty();
  }

  /** The admitted socket is open: from here on it misses nothing. */
  welcome(socket: Socket): void {
    this.#admission.entered();
    this.#fanOut.clients.add(socket);
    this.#lingerUntil = null;
    this.#reporter.changed();
  }

  /** The socket has closed. */
  leave(socket: Socket): void {
    if (!this.#fanOut.clients.delete(socket)) return;
    this.#reporter.changed();
    this.#lingerIfEmpty();
  }

  handleLinkOpen(socket: IncomingLink): void {
    if (this.#admission.isEmpty && this.#subscription.isNone) {
      socket.close(closeCodes.noClients, "no clients");
      return;
    }
    this.#link?.socket.close(closeCodes.replaced, "a newer link took over");
    this.#link = { socket, assembler: new FrameAssembler() };
    const { position } = this.#fanOut;
    if (position !== null) socket.keep(position);
    socket.send(encodeFrame({ type: "hello", position }));
  }

  /** A message of this or, when it is not the current link's, of a former link. */
  handleLinkMessage(socket: IncomingLink, message: string): void | Promise<void> {
    const link = this.#link;
    if (link === null || link.socket !== socket) return;
    this.#reporter.used();
    const whole = link.assembler.push(message);
    if (whole.ok && whole.value === null) return;
    const frame = whole.ok && whole.value !== null ? parseFrameToShard(whole.value) : whole;
    if (!frame.ok || frame.value === null || typeof frame.value === "string") {
      this.#counters.increment("malformed_link_frames");
      this.#giveUp(link, closeCodes.malformedFrame, "malformed frame");
      return;
    }
    return this.#inTurn(link, frame.value);
  }

  /**
   * The link has closed. Unless the sequencer said so before, it broke, and the sequencer perhaps
   * with it. The link may be one that this object, woken by the event, no longer knows.
   */
  handleLinkClose(socket: IncomingLink): void {
    if (this.#ended.has(socket)) return;
    this.#ended.add(socket);
    if (socket.position !== null && this.connections > 0) this.#fanOut.advance(socket.position);
    if (this.#link !== null && this.#link.socket !== socket) {
      // A link that this object, which has slept, took for a former one may have told it the most.
      const { position } = this.#fanOut;
      if (position !== null) this.#link.socket.keep(position);
      return;
    }
    this.#endLink();
    if (this.connections > 0) this.#renewLater();
  }

  /** Time has passed. */
  wake(): void {
    const now = this.#ports.clock.now();
    this.#reporter.wake(now);
    if (this.#lingerUntil !== null && this.#lingerUntil <= now) {
      this.#lingerUntil = null;
      if (this.#admission.isEmpty) this.#subscription.end();
    }
    if (this.#renewAt !== null && this.#renewAt <= now) {
      this.#renewAt = null;
      void this.#renew();
    }
    this.#armWake();
  }

  async #restore(clients: Iterable<Socket>, links: Iterable<IncomingLink>): Promise<void> {
    for (const client of clients) this.#fanOut.clients.add(client);
    // Without clients nobody is owed anything: the past of this object does not matter.
    if (this.connections === 0) return;
    const rows = await this.#ports.storage.list("shard");
    const row = v.safeParse(rowSchema, rows.get("shard"));
    if (row.success) {
      this.#subscription.restore(row.output.subscription);
      this.#fanOut.advance(row.output.position);
    }
    for (const socket of links) {
      if (socket.position !== null) this.#fanOut.advance(socket.position);
      this.#link = { socket, assembler: new FrameAssembler() };
    }
  }

  #handleSubscribed({ epoch, seq }: Subscribed): void {
    // Clients that were here before must get what they lack; without any, the shard starts here.
    if (this.connections === 0) this.#fanOut.advance({ epoch, seq });
    this.#store();
  }

  #store(): void {
    const subscription = this.#subscription.id;
    const { position } = this.#fanOut;
    if (subscription === null || position === null) return;
    this.#ports.storage.put({ shard: { subscription, position } });
  }

  /** Frames are taken one after the other, also when the room class takes its time. */
  #inTurn(link: Link, frame: FrameToShard): void | Promise<void> {
    const work =
      this.#working === null
        ? this.#take(link, frame)
        : this.#working.then(() => this.#take(link, frame));
    if (!(work instanceof Promise)) return;
    const tracked: Promise<void> = work.then(() => {
      if (this.#working === tracked) this.#working = null;
    });
    this.#working = tracked;
    return tracked;
  }

  #take(link: Link, frame: FrameToShard): void | Promise<void> {
    if (frame.type === "bye") {
      this.#ended.add(link.socket);
      if (this.#link === link) this.#endLink();
      return;
    }
    if (frame.type === "reset") {
      this.#counters.increment("continuity_lost");
      this.#fanOut.reset({ epoch: frame.epoch, seq: frame.seq });
      this.#reporter.changed();
      this.#lingerIfEmpty();
      this.#answer(link, "applied");
      return;
    }
    const applied = this.#fanOut.apply(frame);
    if (!(applied instanceof Promise)) return this.#answer(link, applied);
    return applied.then((result) => this.#answer(link, result));
  }

  #answer(link: Link, applied: Applied): void {
    const { position } = this.#fanOut;
    if (position === null) return;
    if (this.#link !== link) {
      // The link ended while the room class was at work; what clients got since must not be lost.
      if (this.#link === null) this.#store();
      else this.#link.socket.keep(position);
      return;
    }
    if (applied === "applied") {
      link.socket.keep(position);
      link.socket.send(encodeFrame({ type: "ack", ...position }));
      return;
    }
    this.#giveUp(link, closeCodes.outOfOrder, `the batch is ${applied}`);
  }

  /** This end closes the link; the next one begins with what the shard has. */
  #giveUp(link: Link, code: CloseCode, reason: string): void {
    this.handleLinkClose(link.socket);
    link.socket.close(code, reason);
  }

  /** The position was kept with the link; without one it is kept in storage. */
  #endLink(): void {
    this.#link = null;
    this.#store();
  }

  #lingerIfEmpty(): void {
    if (!this.#admission.isEmpty) return;
    this.#lingerUntil = this.#ports.clock.now() + lingerMs;
    this.#armWake();
  }

  #renewLater(): void {
    if (this.#renewAt !== null) return;
    this.#renewals += 1;
    const random = this.#ports.entropy.random();
    this.#renewAt = this.#ports.clock.now() + backoffMs(this.#renewals, random, renewBounds);
    this.#armWake();
  }

  async #renew(): Promise<void> {
    if (this.#link !== null || this.connections === 0) return;
    if (await this.#subscription.renew(this.#fanOut.position)) this.#renewals = 0;
    else this.#renewLater();
  }

  #armWake(): void {
    const times = [this.#reporter.nextDeadline(), this.#lingerUntil, this.#renewAt];
    const known = times.filter((at) => at !== null);
    this.#ports.wakeups.soon(known.length === 0 ? null : Math.min(...known));
  }
}
