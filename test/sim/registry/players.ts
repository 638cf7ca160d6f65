/**
 * Players: they have seats reserved, come with their tickets or without, drop and come back. They
 * reach the registry's partitions and the shards as a gate does. Knows nothing of what must hold.
 */
import { partitionNames } from "../../../src/core/partitions.ts";
import type { Caller } from "../../../src/core/ports.ts";
import type { SeatClaim } from "../../../src/protocol/calls.ts";
import { shardId, type RoomId, type ShardId } from "../../../src/protocol/names.ts";
import type { HeldSeats } from "../../../src/protocol/registry-calls.ts";
import type { Scalar } from "../../../src/protocol/registry.ts";
import type { Result } from "../../../src/protocol/result.ts";
import type { Client, ClientEnd, Visitor } from "../client.ts";
import { textOf } from "../durable-log.ts";
import type { RegistryWorld } from "./world.ts";

/** When the bearers of tickets come. */
export type Coming = "at-once" | "soon" | "last-moment" | "late" | "never" | "two" | "again";

export type ReserveAction = {
  readonly type: "reserve";
  readonly roomType: string;
  /** `null`: any room. */
  readonly room: RoomId | null;
  readonly players: number;
  readonly ttlMs: number | null;
  readonly mode: string | null;
  readonly coming: Coming;
  readonly speaksProtocol: boolean;
};

/** Somebody who came, and may come back. */
type Guest = {
  readonly shard: ShardId;
  readonly connection: string;
  readonly claim: SeatClaim | null;
  readonly speaksProtocol: boolean;
  session: string | null;
  client: Client | null;
};

export class Players {
  readonly guests: Guest[] = [];
  readonly #world: RegistryWorld;
  readonly #calls: Caller;
  readonly #from = "gate/1";
  #connections = 0;
  #rooms = 0;

  constructor(world: RegistryWorld) {
    this.#world = world;
    this.#calls = world.outsider(this.#from);
  }

  get live(): Guest[] {
    return this.guests.filter(({ client }) => client?.isOpen === true);
  }

  async reserve(action: ReserveAction): Promise<void> {
    const askedAt = this.#world.timeline.now;
    const held = await this.#hold(action);
    if (!held.ok) return;
    this.#world.judged(() => this.#world.seats.promised(held.value, action.players, askedAt));
    const { timeline, random } = this.#world;
    for (const { id, player } of held.value.seats) {
      const { expiresAt, server } = held.value;
      const claim = { id, player, expiresAt };
      const left = expiresAt - timeline.now;
      const comeIn = (ms: number): void => {
        const guest = this.#guest(server as ShardId, claim, action.speaksProtocol);
        timeline.after(ms, () => this.#world.start(this.#come(guest)));
      };
      if (action.coming === "at-once") comeIn(0);
      if (action.coming === "soon") comeIn(random.between(0, left / 2));
      if (action.coming === "last-moment") comeIn(left - random.between(0, 12));
      if (action.coming === "late") comeIn(left + random.between(0, 2_000));
      if (action.coming === "two") {
        comeIn(random.between(0, 30));
        comeIn(random.between(0, 30));
      }
      if (action.coming !== "again") continue;
      // The same connection comes twice, as one whose answer was lost.
      const guest = this.#guest(server as ShardId, claim, action.speaksProtocol);
      for (const ms of [0, random.between(0, 200)]) {
        timeline.after(ms, () => this.#world.start(this.#come(guest)));
      }
    }
  }

  /** Without a ticket. */
  async join(room: RoomId, speaksProtocol: boolean): Promise<void> {
    const to = { role: "registry", id: this.#world.rooms.partitionOf(room) } as const;
    const table = await this.#calls.call(to, { type: "table", room, counters: {} });
    if (!table.ok || table.value.isLocked || table.value.redirect !== null) return;
    const shard = shardId(room, 1 + this.#world.random.below(table.value.shards.length));
    await this.#come(this.#guest(shard, null, speaksProtocol));
  }

  /** The client's connection breaks, or it leaves, and comes back after `backMs`. */
  drop(number: number, isClean: boolean, backMs: number | null): void {
    const { live } = this;
    const guest = live[number % live.length];
    if (guest === undefined) return;
    if (isClean) guest.client?.leave();
    else guest.client?.break();
    if (backMs === null) return;
    this.#world.timeline.after(backMs, () => this.#world.start(this.#come(guest)));
  }

  leaveAll(): void {
    for (const client of this.#world.clients) client.leave();
  }

  /** As the gate does it: an open room of any partition, else a new one in its own. */
  async #hold(action: ReserveAction): Promise<Result<HeldSeats>> {
    const { rooms, random } = this.#world;
    const { roomType, room, ttlMs, mode } = action;
    const players = Array.from(
      { length: action.players },
      (_, index) => `p${this.#rooms}-${index}`,
    );
    this.#rooms += 1;
    const metadata: Record<string, Scalar> = mode === null ? {} : { mode };
    const wanted = {
      type: "reserve",
      roomType,
      players,
      query: { metadata },
      ttlMs,
      region: null,
    } as const;
    const ask = (id: string, create: RoomId | null): Promise<Result<HeldSeats>> =>
      this.#calls.call({ role: "registry", id }, { ...wanted, room, create });
    if (room !== null) return ask(rooms.partitionOf(room), random.chance(0.5) ? room : null);
    const created = `${roomType}:new${this.#rooms}` as RoomId;
    const home = rooms.partitionOf(created);
    for (const name of partitionNames(rooms.deployment.partitions)) {
      if (name === home) continue;
      const held = await ask(name, null);
      if (held.ok) return held;
    }
    return ask(home, created);
  }

  #guest(shard: ShardId, claim: SeatClaim | null, speaksProtocol: boolean): Guest {
    this.#connections += 1;
    const connection = `c${this.#connections}`;
    const guest = { shard, connection, claim, speaksProtocol, session: null, client: null };
    this.guests.push(guest);
    return guest;
  }

  async #come(guest: Guest): Promise<void> {
    const { random } = this.#world;
    const { shard, connection, session, speaksProtocol } = guest;
    const claim = session === null || random.chance(0.3) ? guest.claim : null;
    if (random.chance(0.3)) {
      const question = { type: "hold", connection, claim, session } as const;
      const may = await this.#calls.call({ role: "shard", id: shard }, question);
      if (!may.ok) return;
    }
    const request = { speaksProtocol, resume: null, topics: [] };
    const visitor: Visitor = {
      connection,
      request: session === null ? request : { ...request, session },
      claim,
    };
    const upgraded = await this.#world.upgrade(this.#from, shard, visitor);
    if (upgraded === null || "code" in upgraded) return;
    guest.client = upgraded.client;
    this.#world.open(upgraded.client, this.#end(guest));
  }

  #end(guest: Guest): ClientEnd {
    const { timeline, random, seats } = this.#world;
    return {
      received: (client, data) => {
        const frame = JSON.parse(textOf(data)) as { type: string; session?: string };
        if (frame.type !== "welcome" || frame.session === undefined) return;
        guest.session = frame.session;
        this.#world.judged(() => seats.told(client, frame.session ?? ""));
      },
      closed: (client, code) => {
        const isOwn = code === null || code >= 4_500 || guest.client !== client;
        if (isOwn || this.#world.network.isHealed || random.chance(0.3)) return;
        const backMs = random.between(0, 2 * this.#world.options.seatTtlMs);
        timeline.after(backMs, () => this.#world.start(this.#come(guest)));
      },
    };
  }
}
