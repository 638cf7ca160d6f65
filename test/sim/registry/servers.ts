/**
 * Servers outside with their players, and what must hold of them: a place in a room is promised once,
 * a server that is dead is offline in time, and the directory names the server that has the room.
 */
import { hub, partitionNames } from "../../../src/core/partitions.ts";
import type { Caller } from "../../../src/core/ports.ts";
import type { RoomId } from "../../../src/protocol/names.ts";
import type { HeldSeats } from "../../../src/protocol/registry-calls.ts";
import type { Result } from "../../../src/protocol/result.ts";
import { Violation } from "../environment.ts";
import { GameServer, ticketsOf, type Ticket } from "./game-server.ts";
import type { RegistryWorld } from "./world.ts";

export type HostAction = {
  readonly type: "host";
  readonly room: RoomId | null;
  readonly players: number;
  readonly ttlMs: number;
  readonly comeAfter: number;
};

export class Servers {
  readonly #world: RegistryWorld;
  readonly #calls: Caller;
  readonly #running = new Map<string, GameServer>();
  readonly #tickets = new Set<Ticket>();
  #starts = 0;
  #rooms = 0;
  promises = 0;

  constructor(world: RegistryWorld) {
    this.#world = world;
    this.#calls = world.outsider("gate/3");
    world.checks.push(() => this.#check());
  }

  get addresses(): string[] {
    return ["server/s1", "server/s2"];
  }

  get running(): GameServer[] {
    return [...this.#running.values()].filter(({ isAlive }) => isAlive);
  }

  /** Another start of the process, if it does not run. */
  start(id: string, aheadMs: number): void {
    if (this.#running.get(id)?.isAlive === true) return;
    this.#starts += 1;
    const server = new GameServer(this.#world, id, `i${this.#starts}`, aheadMs);
    this.#running.set(id, server);
    server.start();
  }

  kill(id: string): void {
    this.#running.get(id)?.kill();
  }

  drain(id: string): void {
    const server = this.#running.get(id);
    if (server?.isAlive === true) this.#world.start(server.drain());
  }

  leave(id: string): void {
    const server = this.#running.get(id);
    if (server?.isAlive === true) this.#world.start(server.leave());
  }

  drop(id: string, number: number): void {
    this.#running.get(id)?.drop(number);
  }

  leaveAll(): void {
    for (const server of this.running) server.leaveAll();
  }

  async host({ room, players: count, ttlMs, comeAfter }: HostAction): Promise<void> {
    const { rooms, timeline } = this.#world;
    this.#rooms += 1;
    const players = Array.from({ length: count }, (_, index) => `q${this.#rooms}-${index}`);
    const wanted = { type: "reserve", roomType: "hosted", players, query: {} } as const;
    const to = room ?? (`hosted:new${this.#rooms}` as RoomId);
    const partition = { role: "registry", id: rooms.partitionOf(to) } as const;
    const request = { ...wanted, room, create: to, ttlMs, region: null };
    const held: Result<HeldSeats> = await this.#calls.call(partition, request);
    if (!held.ok) return;
    for (const ticket of ticketsOf(held.value)) {
      this.#tickets.add(ticket);
      this.promises += 1;
      timeline.after(comeAfter, () => {
        if (!this.#tickets.has(ticket)) return;
        if (this.#running.get(ticket.server)?.take(ticket) === true) this.#tickets.delete(ticket);
      });
    }
  }

  /** The world is well, and the bounds that the registry states have passed. */
  async checkDirectory(): Promise<void> {
    const listed = await this.#calls.call(
      { role: "registry", id: hub },
      { type: "servers", kind: "server", roomType: null, after: null, limit: 100 },
    );
    if (!listed.ok) throw new Violation("SV1", `the hub answers ${listed.code}`);
    for (const { serverId, status } of listed.value.servers) {
      const isAlive = this.#running.get(serverId)?.isAlive === true;
      if (isAlive === (status !== "offline")) continue;
      throw new Violation("SV3", `${serverId} is ${isAlive ? "alive" : "dead"} and ${status}`);
    }
    const named = new Map<string, string>();
    for (const id of partitionNames(this.#world.rooms.deployment.partitions)) {
      const page = {
        type: "rooms",
        roomType: "hosted",
        query: {},
        after: null,
        limit: 100,
      } as const;
      const rooms = await this.#calls.call({ role: "registry", id }, page);
      if (!rooms.ok) throw new Violation("DI1", `${id} answers ${rooms.code}`);
      for (const { roomId, serverId, playerCount } of rooms.value.rooms) {
        named.set(roomId, serverId);
        const server = this.#running.get(serverId);
        if (server?.isAlive !== true) {
          throw new Violation("SV7", `"${roomId}" is on ${serverId}, which is dead`);
        }
        const there = server.playersOf(roomId as RoomId);
        if (there !== playerCount) {
          throw new Violation("SV5", `"${roomId}" has ${there} players, not ${playerCount}`);
        }
      }
    }
    for (const server of this.running) {
      for (const room of server.rooms) {
        if (named.get(room) === server.id) continue;
        throw new Violation("SV5", `${server.id} has "${room}", which is on ${named.get(room)}`);
      }
    }
  }

  /** After every step: places in one room on one server. */
  #check(): void {
    const { timeline, options } = this.#world;
    const owners = new Map<RoomId, string>();
    for (const server of this.running) {
      if (!server.isInService) continue;
      server.expire();
      for (const room of server.rooms) {
        const other = owners.get(room);
        if (other !== undefined) {
          throw new Violation("SV11", `"${room}" is on ${other} and on ${server.id}`);
        }
        owners.set(room, server.id);
      }
      const taken = new Map<RoomId, number>();
      for (const room of server.rooms) taken.set(room, server.playersOf(room));
      for (const ticket of this.#tickets) {
        const { room, expiresAt } = ticket;
        if (expiresAt <= timeline.now) this.#tickets.delete(ticket);
        else if (server.wouldTake(ticket)) taken.set(room, (taken.get(room) ?? 0) + 1);
      }
      for (const [room, count] of taken) {
        if (count <= options.maxPlayers) continue;
        throw new Violation("SV6", `${count} places of "${room}" on ${server.id} are promised`);
      }
    }
  }
}
