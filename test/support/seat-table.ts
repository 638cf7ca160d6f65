/**
 * One shard with seats on fake ports, in the words of those who come to it; and an evening of players
 * who come, drop and come back while it crashes and sleeps, which throws when a promise is broken.
 */
import type { RoomTypeOptions } from "../../src/core/rooms.ts";
import type { LoadReply, SeatClaim } from "../../src/protocol/calls.ts";
import type { ClientRequest } from "../../src/protocol/client-request.ts";
import { plainRequest, type ClientSocket } from "../../src/shard/clients.ts";
import { FakeSocket } from "./fake-socket.ts";
import { ShardRig } from "./shard-rig.ts";
import { turns } from "./turns.ts";

type Welcome = { readonly session?: string };

export const speaker: ClientRequest = { ...plainRequest, speaksProtocol: true };
export const graceMs = 15_000;

/** A shard with seats, and who came to it. */
export class SeatTable {
  rig: ShardRig;
  readonly options: RoomTypeOptions;
  expiresAt = 0;

  private constructor(rig: ShardRig, options: RoomTypeOptions) {
    this.rig = rig;
    this.options = options;
  }

  static async start(options: RoomTypeOptions = { maxPlayers: 2 }): Promise<SeatTable> {
    return new SeatTable(await ShardRig.start(options), options);
  }

  /** Without its time. */
  get load(): LoadReply {
    const load = this.rig.shard.handle({ type: "load" });
    if (!load.ok || load.value === null || !("connections" in load.value)) throw new Error("load");
    const { connections, players, reserved } = load.value;
    return { connections, players, reserved };
  }

  reserve(...players: string[]): string | null {
    const seats = players.map((player) => ({ id: player, player }));
    const reserved = this.rig.shard.handle({ type: "reserve", seats, ttlMs: 10_000 });
    if (!reserved.ok) return reserved.code;
    this.expiresAt = this.rig.ports.clock.now() + 10_000;
    return null;
  }

  ticket(player: string): SeatClaim {
    return { id: player, player, expiresAt: this.expiresAt };
  }

  /** The client's socket, or why it was refused. */
  async join(
    connection: string,
    claim: SeatClaim | null = null,
    request = plainRequest,
  ): Promise<ClientSocket & { readonly socket: FakeSocket }> {
    const admitted = await this.rig.shard.admit(connection, request, claim);
    if (!admitted.ok) throw new Error(admitted.code);
    const client = { socket: new FakeSocket(), connection, request };
    this.rig.shard.welcome(client.socket, connection, request, admitted.value);
    return client;
  }

  async refusal(connection: string, claim: SeatClaim | null = null): Promise<string | null> {
    const admitted = await this.rig.shard.admit(connection, plainRequest, claim);
    if (!admitted.ok) return admitted.code;
    this.rig.shard.release(admitted.value);
    return null;
  }

  hold(connection: string, claim: SeatClaim | null = null): string | null {
    const held = this.rig.shard.handle({ type: "hold", connection, claim, session: null });
    return held.ok ? null : held.code;
  }

  /** The object's next life, in which these sockets are still open. */
  async restart(clients: readonly ClientSocket[] = []): Promise<void> {
    await turns();
    const ports = { ...this.rig.ports, storage: this.rig.ports.storage.restart() };
    this.rig = await ShardRig.start({ ...this.options, ports, clients });
  }
}

export const sessionOf = ({ socket }: { readonly socket: FakeSocket }): string | undefined =>
  (socket.frames[0] as Welcome).session;

export type TableStep =
  | { readonly name: "reserve"; readonly count: number }
  | { readonly name: "join"; readonly ticket: number | null; readonly connection: string }
  | { readonly name: "return" | "drop"; readonly which: number }
  | { readonly name: "time"; readonly ms: number }
  | { readonly name: "crash" | "evict" };

type Player = ClientSocket & { readonly socket: FakeSocket; readonly ticket: SeatClaim | null };

/** Players who come, drop and come back to one table of a few seats, as it crashes and sleeps. */
export class Evening {
  readonly #table: SeatTable;
  readonly #limit: number;
  readonly #tickets: SeatClaim[] = [];
  readonly #usedBy = new Map<string, string>();
  #players: Player[] = [];
  /** Who dropped, until when the seat is kept, and whether it is known by session. */
  #dropped: { player: Player; session: string | undefined; until: number }[] = [];
  #count = 0;

  constructor(table: SeatTable, limit: number) {
    this.#table = table;
    this.#limit = limit;
  }

  async step(step: TableStep): Promise<void> {
    switch (step.name) {
      case "reserve":
        this.#reserve(step.count);
        break;
      case "join":
        await this.#join(step.connection, step.ticket);
        break;
      case "return":
        await this.#return(step.which);
        break;
      case "drop":
        this.#drop(step.which);
        break;
      case "time":
        await this.#table.rig.pass(step.ms);
        break;
      case "evict":
        await this.#table.restart(this.#players);
        break;
      case "crash":
        for (const player of this.#players) this.#remember(player);
        this.#players = [];
        await this.#table.restart();
        break;
    }
    this.#check();
  }

  get #now(): number {
    return this.#table.rig.ports.clock.now();
  }

  #reserve(count: number): void {
    const names = Array.from({ length: count }, () => `p${(this.#count += 1)}`);
    if (this.#table.reserve(...names) !== null) return;
    for (const name of names) this.#tickets.push(this.#table.ticket(name));
  }

  async #join(name: string, ticket: number | null): Promise<void> {
    const claim = ticket === null ? null : this.#tickets[ticket % this.#tickets.length];
    if (claim === undefined) return;
    const connection = `${name}${claim === null ? "" : "-ticket"}`;
    const request = connection.startsWith("a") ? speaker : plainRequest;
    const admitted = await this.#table.rig.shard.admit(connection, request, claim);
    if (claim !== null) {
      const usedBy = this.#usedBy.get(claim.id);
      const isGood = claim.expiresAt > this.#now;
      if (admitted.ok)
        check(usedBy === undefined || usedBy === connection, "a ticket worked twice");
      else check(usedBy !== undefined || !isGood, "a good ticket was refused");
    }
    if (!admitted.ok) return;
    if (claim !== null) this.#usedBy.set(claim.id, connection);
    const player = { socket: new FakeSocket(), connection, request, ticket: claim };
    this.#table.rig.shard.welcome(player.socket, connection, request, admitted.value);
    this.#players.push(player);
  }

  /** Whoever is within the grace gets in, however full the room is. */
  async #return(index: number): Promise<void> {
    const [entry] = this.#dropped.splice(index % Math.max(1, this.#dropped.length), 1);
    if (entry === undefined || entry.until <= this.#now) return;
    const { player, session } = entry;
    const request = { ...player.request, ...(session === undefined ? {} : { session }) };
    const back = await this.#table.join(player.connection, player.ticket, request);
    this.#players.push({ ...player, socket: back.socket });
  }

  #drop(index: number): void {
    const [player] = this.#players.splice(index % Math.max(1, this.#players.length), 1);
    if (player === undefined) return;
    this.#table.rig.shard.leave(player.socket);
    this.#remember(player);
  }

  #remember(player: Player): void {
    const session = player.request.speaksProtocol ? sessionOf(player) : undefined;
    this.#dropped.push({ player, session, until: this.#now + graceMs });
  }

  #check(): void {
    // Those whose seat another connection of theirs took over.
    this.#players = this.#players.filter(({ socket }) => socket.closedWith === null);
    const { connections, players, reserved } = this.#table.load;
    const seated = players?.length ?? 0;
    check(connections === this.#players.length, `${connections} clients are counted`);
    check(seated + reserved <= this.#limit, `${seated} and ${reserved} seats`);
    check(seated >= connections, "a client has no seat");
    // Whoever was given a session is known by that alone: another "a" is somebody else.
    const known = (players ?? []).filter((player) => player !== "a");
    check(new Set(known).size === known.length, "a player has two seats");
  }
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
