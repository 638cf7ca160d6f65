/** The hub's servers outside on fake ports; partitions answer as the test says. */
import { preferLocal, strategies } from "../../src/core/placement.ts";
import { defineRooms } from "../../src/core/rooms.ts";
import type { RequestTo } from "../../src/protocol/calls.ts";
import type { RoomId } from "../../src/protocol/names.ts";
import type { RegistryReplies } from "../../src/protocol/registry-calls.ts";
import {
  parseBody,
  type BodyInput,
  type HeartbeatAnswer,
  type RegistryEventBody,
} from "../../src/protocol/registry.ts";
import { failure, success, type Result } from "../../src/protocol/result.ts";
import { Patience } from "../../src/registry/patience.ts";
import { Servers } from "../../src/registry/servers.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeEntropy } from "./fake-entropy.ts";
import { FakeStorage } from "./fake-storage.ts";
import { turns } from "./turns.ts";

type PartitionCall = { readonly partition: string } & Extract<
  RequestTo<"registry">,
  { type: "hosted" | "gone" }
>;
type Answer = Result<RegistryReplies["hosted"] | null>;

const rooms = defineRooms(
  {
    game: { placement: "round-robin" },
    outside: { hostedBy: "servers", leaseMs: 60_000, heartbeatIntervalMs: 4_000 },
    inside: { hostedBy: "shards" },
    near: { placement: "nearest" },
    sticky: { placement: "sticky" },
    filled: { placement: "fill-first" },
    quiet: { placement: "least-players" },
    loyal: { placement: preferLocal(strategies["least-rooms"]) },
  },
  { partitions: 3 },
);

export class ServersRig {
  readonly clock = new FakeClock();
  storage = new FakeStorage();
  readonly events: RegistryEventBody[] = [];
  readonly told: PartitionCall[] = [];
  wakeAt: number | null = null;
  /** What a partition answers. */
  answer: (call: PartitionCall) => Answer | Promise<Answer> = () => success({ unknown: [] });
  #servers: Servers | undefined;
  readonly #patience = new Patience(this.clock, () => {});

  /** A first life, or the next one on the rows of the last. */
  async start(): Promise<this> {
    await turns();
    this.storage = this.storage.restart();
    const { clock, storage } = this;
    this.#servers = await Servers.start(rooms, {
      clock,
      storage,
      entropy: new FakeEntropy(),
      wakeAt: (at) => {
        this.wakeAt = at;
      },
      within: (ms, work) => this.#patience.within(ms, work),
      emit: (event) => this.events.push(event),
      toPartition: async (partition, request) => {
        if (request.type !== "hosted" && request.type !== "gone") {
          return failure("not-found", request.type);
        }
        const call = { partition, ...request } as PartitionCall;
        this.told.push(call);
        return (await this.answer(call)) as never;
      },
    });
    return this;
  }

  get servers(): Servers {
    if (this.#servers === undefined) throw new Error("not started");
    return this.#servers;
  }

  /** Time goes by, with every wake-up that was asked for on the way. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.now() + ms;
    for (let next = this.#due(end); next !== null; next = this.#due(end)) {
      this.clock.advance(Math.max(0, next - this.clock.now()));
      this.servers.wake(this.clock.now());
      this.#patience.wake(this.clock.now());
      await turns();
    }
    this.clock.advance(end - this.clock.now());
  }

  register(serverId: string, options: Partial<BodyInput<"registerServer">> = {}) {
    const body = { address: "game.test", roomTypes: ["game"], instance: "first", ...options };
    const parsed = parseBody("registerServer", { ...body, serverId });
    if (!parsed.ok) throw new Error(parsed.detail);
    return this.servers.register({ type: "register", server: parsed.value });
  }

  async heartbeat(
    server: string,
    said: readonly (readonly [room: string, players: readonly string[]])[] = [],
    { instance = "first", asOf = 0, isPartial = false } = {},
  ): Promise<Result<HeartbeatAnswer>> {
    const reported = said.map(([roomId, players]) => ({
      roomId,
      players: [...players],
      seats: players.map((player) => `seat-${player}`),
    }));
    const partial = isPartial ? { isPartial } : {};
    const report = { instance, asOf, rooms: reported, ...partial };
    return this.servers.heartbeat({ type: "heartbeat", server, report });
  }

  /** The server that a new room goes to, `null` for shards, or the code of the failure. */
  allocate(
    room: string,
    options: { key?: string; region?: "weur" | "oc"; local?: string } = {},
  ): string | null {
    const { key = "ann", region = null, local = null } = options;
    const request = { type: "allocate", room: room as RoomId, key, region, local } as const;
    const reply = this.servers.allocate(request);
    return reply.ok ? (reply.value?.server ?? null) : reply.code;
  }

  vacate(room: string, server: string) {
    return this.servers.vacate({ type: "vacate", room: room as RoomId, server });
  }

  drain(server: string) {
    return this.servers.drain({ type: "drain", server });
  }

  unregister(server: string) {
    return this.servers.unregister({ type: "unregister", server });
  }

  status(server: string): string | undefined {
    const { servers } = this.servers.list(null, 1_000);
    return servers.find(({ serverId }) => serverId === server)?.status;
  }

  roomCount(server: string): number | undefined {
    const { servers } = this.servers.list(null, 1_000);
    return servers.find(({ serverId }) => serverId === server)?.roomCount;
  }

  /** Rooms that partitions were told to be gone, with their server. */
  get gone(): string[] {
    return this.told
      .flatMap((call) =>
        call.type === "gone" ? call.rooms.map((room) => `${room} of ${call.server}`) : [],
      )
      .toSorted();
  }

  #due(end: number): number | null {
    const [next, wait] = [this.servers.nextDeadline(), this.#patience.nextDeadline()];
    const first = Math.min(next ?? Infinity, wait ?? Infinity);
    return first <= end ? first : null;
  }
}
