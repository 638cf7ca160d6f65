/** One partition of the registry on fake ports; the test stands for shards and other partitions. */
import { hub } from "../../src/core/partitions.ts";
import { defineRooms, type Rooms } from "../../src/core/rooms.ts";
import type { LoadReply, ReplyTo, RequestTo } from "../../src/protocol/calls.ts";
import type { RoomId, ShardId } from "../../src/protocol/names.ts";
import type { HeldSeats } from "../../src/protocol/registry-calls.ts";
import { Registry } from "../../src/registry/registry.ts";
import { lost, type Answer, type Call } from "./fake-calls.ts";
import { fakePorts } from "./fake-ports.ts";
import { turns } from "./turns.ts";

type AnyRequest = RequestTo<"registry">;
type Of<Type extends AnyRequest["type"]> = Extract<AnyRequest, { type: Type }>;

/** The text is a room's id, which the test takes care of. */
export function id(text: string): RoomId {
  return text as RoomId;
}

export class RegistryRig {
  readonly rooms: Rooms;
  readonly name: string;
  ports = fakePorts();
  #registry: Registry | undefined;

  constructor(rooms: Rooms = defineRooms({ game: { maxPlayers: 4 } }), name = hub) {
    this.rooms = rooms;
    this.name = name;
  }

  /** A first life, or the next one on the rows of the last. */
  async start(rooms = this.rooms): Promise<this> {
    await turns();
    this.ports = { ...this.ports, storage: this.ports.storage.restart() };
    this.#registry = await Registry.start(rooms, this.ports, this.name);
    return this;
  }

  async handle(request: AnyRequest) {
    if (this.#registry === undefined) throw new Error("not started");
    return this.#registry.handle(request);
  }

  async ask<Request extends AnyRequest>(request: Request): Promise<ReplyTo<"registry", Request>> {
    const reply = await this.handle(request);
    if (!reply.ok) throw new Error(`${reply.code}: ${reply.detail}`);
    return reply.value as ReplyTo<"registry", Request>;
  }

  /** The code of a failure, or `null`. */
  async failed(request: AnyRequest): Promise<string | null> {
    const reply = await this.handle(request);
    return reply.ok ? null : reply.code;
  }

  /** Shard `number` of the room says this of itself. */
  report(
    room: string,
    load: { number?: number; connections?: number; players?: string[]; reserved?: number },
  ) {
    const { number = 1, players = null, reserved = 0 } = load;
    const connections = load.connections ?? players?.length ?? 0;
    const shard = `${room}-${number}` as ShardId;
    return this.ask({ type: "report", shard, connections, players, reserved, counters: {} });
  }

  table(room: string) {
    return this.ask({ type: "table", room: id(room), counters: {} });
  }

  async list(more: Partial<Of<"rooms">> = {}): Promise<string[]> {
    const all = { roomType: null, query: {}, after: null, limit: 100, ...more };
    return (await this.ask({ type: "rooms", ...all })).rooms.map(({ roomId }) => roomId);
  }

  create(room: string, more: Partial<Of<"create">> = {}) {
    return this.ask(createRequest(room, more));
  }

  reserve(more: Partial<Of<"reserve">> = {}) {
    return this.ask(reserveRequest(more));
  }

  /** What is held, or `null`. */
  async tryReserve(more: Partial<Of<"reserve">> = {}): Promise<HeldSeats | null> {
    const reply = await this.handle(reserveRequest(more));
    return reply.ok ? (reply.value as HeldSeats) : null;
  }

  async pass(ms: number): Promise<void> {
    const { clock, wakeups } = this.ports;
    clock.advance(ms);
    // The host's timer has run out.
    if (wakeups.at !== null && wakeups.at <= clock.now()) wakeups.at = null;
    if (wakeups.durableAt !== null && wakeups.durableAt <= clock.now()) wakeups.durableAt = null;
    this.#registry?.wake();
    await turns();
  }

  /** Wakes it as often as it asks for in this time. */
  async passInSteps(ms: number): Promise<void> {
    const end = this.ports.clock.now() + ms;
    for (;;) {
      await turns();
      const at = Math.min(
        this.ports.wakeups.at ?? Infinity,
        this.ports.wakeups.durableAt ?? Infinity,
      );
      if (at > end) break;
      await this.pass(Math.max(0, at - this.ports.clock.now()));
    }
    await this.pass(end - this.ports.clock.now());
  }
}

export function createRequest(room: string, more: Partial<Of<"create">> = {}): Of<"create"> {
  const plain = { metadata: {}, maxPlayers: null, isLocked: false, keepMs: 300_000, region: null };
  return { type: "create", room: id(room), ...plain, ...more };
}

export function reserveRequest(more: Partial<Of<"reserve">> = {}): Of<"reserve"> {
  const plain = { roomType: "game", room: null, players: ["ann"], query: {}, ttlMs: null };
  return { type: "reserve", ...plain, region: null, create: null, ...more };
}

/** Shards that hold seats up to a limit and never free them, and answer all else. */
export class FakeShards {
  readonly seats = new Map<string, string[]>();
  readonly limits = new Map<string, number | null>();
  readonly players = new Map<string, string[]>();
  /** What a shard says of itself; the seats it holds, when that is not said here. */
  readonly loads = new Map<string, LoadReply>();
  /** Shards that do not answer. */
  readonly down = new Set<string>();
  readonly #limit: number;

  constructor(limit = 4) {
    this.#limit = limit;
  }

  answer = ({ role, id: shard, request }: Call): Answer => {
    if (this.down.has(shard)) return lost;
    if (request.type === "events") return { ok: true, value: { isHeard: false } };
    if (role !== "shard") return { ok: true, value: null };
    const held = this.seats.get(shard) ?? [];
    if (request.type === "load") {
      const players = this.players.get(shard) ?? [];
      const plain = { connections: players.length, players, reserved: held.length };
      return { ok: true, value: this.loads.get(shard) ?? plain };
    }
    if (request.type === "limit") this.limits.set(shard, request.maxPlayers);
    if (request.type !== "reserve" || !("seats" in request)) return { ok: true, value: null };
    const limit = this.limits.get(shard) ?? this.#limit;
    if (held.length + request.seats.length > limit) {
      return { ok: false, code: "full", detail: "there is no space" };
    }
    this.seats.set(shard, [...held, ...request.seats.map(({ player }) => player)]);
    return { ok: true, value: { expiresAt: 1_000_000 + request.ttlMs } };
  };
}
