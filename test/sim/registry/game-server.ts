/**
 * A game server outside: one process. It registers, sends heartbeats, takes players who
 * bring tickets for it, and judges them by the registry's time as it was
 * told, or as it believes. Knows nothing of other servers.
 */
import type { Caller } from "../../../src/core/ports.ts";
import { isRoomId, type RoomId } from "../../../src/protocol/names.ts";
import type { HeldSeats } from "../../../src/protocol/registry-calls.ts";
import type { HeartbeatAnswer } from "../../../src/protocol/registry.ts";
import type { RegistryWorld } from "./world.ts";

export type Ticket = {
  readonly id: string;
  readonly player: string;
  readonly room: RoomId;
  readonly server: string;
  /** The start of the server that it is for. */
  readonly instance: string | undefined;
  readonly expiresAt: number;
};

type Seated = { readonly ticket: Ticket; graceUntil: number | null };

const heartbeatMs = 5_000;

export class GameServer {
  readonly id: string;
  instance: string;
  readonly address: string;
  /** Who sits there, by seat. */
  readonly seated = new Map<string, Seated>();
  readonly rooms = new Set<RoomId>();
  isAlive = true;
  isRegistered = false;
  /** When the process ended. */
  diedAt: number | null = null;
  readonly #world: RegistryWorld;
  readonly #calls: Caller;
  readonly #used = new Set<string>();
  /** By how much it takes the registry's time for later than it was told, ms. */
  readonly #aheadMs: number;
  #asOf = 0;
  #starts = 1;
  #isLeaving = false;
  /** Its rooms as it told of them last. */
  #reported = new Map<RoomId, string>();
  /** Until then the registry takes this process for alive. */
  #heldUntil = 0;
  /** Then all that it was promised is void. */
  #lostAt = Infinity;

  constructor(world: RegistryWorld, id: string, instance: string, aheadMs: number) {
    this.#world = world;
    this.id = id;
    this.instance = instance;
    this.address = `server/${id}`;
    this.#aheadMs = aheadMs;
    this.#calls = world.outsider(this.address);
  }

  /** Whether it takes players: its lease certainly runs. */
  get isInService(): boolean {
    return this.isAlive && this.#world.timeline.now < this.#heldUntil;
  }

  start(): void {
    this.#world.start(this.#live());
  }

  /** As SIGKILL does it. */
  kill(): void {
    if (!this.isAlive) return;
    this.isAlive = false;
    this.diedAt = this.#world.timeline.now;
    this.seated.clear();
    this.rooms.clear();
  }

  async drain(): Promise<void> {
    await this.#calls.call({ role: "registry", id: "default" }, { type: "drain", server: this.id });
  }

  /** As a graceful stop does it: takes nobody more, lets go of its rooms one by one, and ends. */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    await this.drain();
    for (const room of this.rooms) {
      if (!this.#holdsRooms) this.#close(room);
      const { instance } = this;
      const to = { role: "registry", id: this.#world.rooms.partitionOf(room) } as const;
      const request = { type: "relocate", room, server: this.id, instance } as const;
      await this.#calls.call(to, request);
    }
    if (this.#holdsRooms) return;
    const to = { role: "registry", id: "default" } as const;
    await this.#calls.call(to, { type: "unregister", server: this.id });
    this.kill();
  }

  /** Takes the ticket's bearer in, or does not. */
  take(ticket: Ticket): boolean {
    if (!this.isInService || this.#isLeaving || ticket.server !== this.id) return false;
    this.#expire();
    const { id, room } = ticket;
    const known = this.seated.get(id);
    if (known !== undefined) {
      const isBack = known.graceUntil !== null;
      known.graceUntil = null;
      return isBack;
    }
    if (!this.wouldTake(ticket)) return false;
    this.#used.add(id);
    this.rooms.add(room);
    this.seated.set(id, { ticket, graceUntil: null });
    return true;
  }

  /** Whether the bearer would get in now. */
  wouldTake({ id, server, instance, expiresAt }: Ticket): boolean {
    if (this.#isLeaving) return false;
    const isFor = this.isInService && server === this.id && instance === this.instance;
    return isFor && !this.#used.has(id) && expiresAt > this.#asOf;
  }

  drop(number: number): void {
    const present = [...this.seated.values()].filter(({ graceUntil }) => graceUntil === null);
    const one = present[number % present.length];
    if (one !== undefined) one.graceUntil = this.#now + this.#world.options.seatTtlMs;
  }

  leaveAll(): void {
    this.seated.clear();
    this.rooms.clear();
  }

  playersOf(room: RoomId): number {
    let count = 0;
    for (const { ticket } of this.seated.values()) if (ticket.room === room) count += 1;
    return count;
  }

  expire(): void {
    this.#expire();
  }

  get #holdsRooms(): boolean {
    return this.#world.options.planted === "room-held";
  }

  get #now(): number {
    return this.#world.timeline.now;
  }

  async #live(): Promise<void> {
    const { timeline, random } = this.#world;
    while (this.isAlive) {
      if (this.#now >= this.#lostAt) this.#startAnew();
      const isKnown = this.isRegistered ? await this.#beat() : await this.#register();
      if (isKnown) await this.#tellOfChanges();
      else await timeline.sleep(random.between(500, 2_000));
    }
  }

  /** Halfway to the next report of all rooms. */
  async #tellOfChanges(): Promise<void> {
    const { timeline } = this.#world;
    await timeline.sleep(heartbeatMs / 2);
    if (this.isAlive && this.isRegistered && this.#now < this.#lostAt) await this.#beat(true);
    await timeline.sleep(heartbeatMs / 2);
  }

  async #register(): Promise<boolean> {
    const server = {
      serverId: this.id,
      address: `${this.id}.example`,
      capacity: 3,
      roomTypes: ["hosted"],
      metadata: {},
      instance: this.instance,
    };
    const askedAt = this.#now;
    const to = { role: "registry", id: "default" } as const;
    const reply = await this.#calls.call(to, { type: "register", server });
    if (reply.ok && this.isAlive) {
      this.isRegistered = true;
      this.#heard(reply.value, askedAt);
    }
    return false;
  }

  async #beat(isPartial = false): Promise<boolean> {
    this.#expire();
    const askedAt = this.#now;
    const before = this.#reported;
    this.#reported = new Map(
      [...this.rooms].map((room) => [room, JSON.stringify(this.#reportOf(room))]),
    );
    const named = [...this.rooms].filter(
      (room) => !isPartial || before.get(room) !== this.#reported.get(room),
    );
    const ended = isPartial ? [...before.keys()].filter((room) => !this.rooms.has(room)) : [];
    const rooms = [...named, ...ended].map((room) => this.#reportOf(room));
    const partial = isPartial ? { isPartial } : {};
    const report = { instance: this.instance, asOf: this.#asOf, rooms, ...partial };
    const to = { role: "registry", id: "default" } as const;
    const reply = await this.#calls.call(to, { type: "heartbeat", server: this.id, report });
    if (!this.isAlive) return false;
    if (!reply.ok) {
      // Its rooms are gone, and begin anew wherever the registry says.
      if (reply.code === "unknown-server") this.#startAnew();
      return false;
    }
    this.#heard(reply.value, askedAt);
    return true;
  }

  #reportOf(roomId: RoomId) {
    const here = [...this.seated.values()].filter(({ ticket }) => ticket.room === roomId);
    const players = here.map(({ ticket }) => ticket.player);
    return { roomId, players, seats: here.map(({ ticket }) => ticket.id) };
  }

  #heard({ now, leaseMs, dispose }: HeartbeatAnswer, askedAt: number): void {
    this.#asOf = Math.max(this.#asOf, now + this.#aheadMs);
    this.#heldUntil = askedAt + leaseMs;
    this.#lostAt = this.#heldUntil + leaseMs;
    if (this.#isLeaving && this.#holdsRooms) return;
    for (const room of dispose) if (isRoomId(room)) this.#close(room);
  }

  #startAnew(): void {
    this.isRegistered = false;
    this.#heldUntil = 0;
    this.#lostAt = Infinity;
    this.#starts += 1;
    this.instance = `${this.instance.replace(/[.].*/, "")}.${this.#starts}`;
    this.leaveAll();
  }

  #close(room: RoomId): void {
    this.rooms.delete(room);
    for (const [id, { ticket }] of this.seated) if (ticket.room === room) this.seated.delete(id);
  }

  /** Frees seats whose grace is over, and closes rooms in which nobody is left. */
  #expire(): void {
    for (const [id, { graceUntil }] of this.seated) {
      if (graceUntil !== null && graceUntil <= this.#now) this.seated.delete(id);
    }
    for (const room of this.rooms) if (this.playersOf(room) === 0) this.rooms.delete(room);
  }
}

export function ticketsOf({ seats, server, instance, room, expiresAt }: HeldSeats): Ticket[] {
  return seats.map(({ id, player }) => ({ id, player, room, server, instance, expiresAt }));
}
