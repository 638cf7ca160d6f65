/**
 * Servers outside, at the hub: who is registered, and whose lease runs. Owns the rows `server/ID`.
 * Knows nothing of seats; which room is where is in hosting.ts, and goes where in server-choice.ts.
 *
 * Silence is not death: after a restart of this object every lease begins anew.
 */
import type { Entropy } from "../core/ports.ts";
import type { Rooms } from "../core/rooms.ts";
import type { RequestTo } from "../protocol/calls.ts";
import { isRoomId } from "../protocol/names.ts";
import type { RegistryReplies } from "../protocol/registry-calls.ts";
import type {
  BodyOf,
  HeartbeatAnswer,
  RegistryEventBody,
  ServerRegistration,
} from "../protocol/registry.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import { Hosting, type HostingOwner, type Tenant } from "./hosting.ts";
import { OutsideServer } from "./outside-server.ts";
import { isServerAddress } from "./server-address.ts";
import { ServerChoice } from "./server-choice.ts";
import { ServerReports } from "./server-reports.ts";

const rowPrefix = "server/";
/** The clock may go back by so much when the object moves to another machine. */
const clockToleranceMs = 1_000;
/** A heartbeat's answer waits for the partitions no longer, however many of them are silent. */
const tellMs = 2_000;

type Call<Type extends RequestTo<"registry">["type"]> = Extract<
  RequestTo<"registry">,
  { type: Type }
>;

export type ServersOwner = HostingOwner & {
  readonly entropy: Entropy;
  readonly emit: (event: RegistryEventBody) => void;
  /** Resolves when the work is done, or so much later. */
  readonly within: (ms: number, work: Promise<unknown>) => Promise<void>;
};

export class Servers {
  readonly #rooms: Rooms;
  readonly #owner: ServersOwner;
  readonly #servers: Map<string, OutsideServer>;
  readonly #hosting: Hosting;
  readonly #reports: ServerReports;
  readonly #choice: ServerChoice;
  #nextAt: number | null = null;

  private constructor(
    rooms: Rooms,
    owner: ServersOwner,
    servers: Map<string, OutsideServer>,
    hosting: Hosting,
  ) {
    this.#rooms = rooms;
    this.#owner = owner;
    this.#servers = servers;
    this.#hosting = hosting;
    this.#reports = new ServerReports(rooms, owner, hosting);
    this.#choice = new ServerChoice(owner.entropy, hosting);
    this.#arm();
  }

  static async start(rooms: Rooms, owner: ServersOwner): Promise<Servers> {
    const servers = new Map<string, OutsideServer>();
    for (const value of (await owner.storage.list(rowPrefix)).values()) {
      const server = OutsideServer.restore(rooms, value, owner.clock.now());
      if (server !== null) servers.set(server.registration.serverId, server);
    }
    const lives = ({ server, instance }: Tenant): boolean => {
      const known = servers.get(server);
      return known?.isOffline === false && known.registration.instance === instance;
    };
    return new Servers(rooms, owner, servers, await Hosting.start(rooms, owner, lives));
  }

  register({ server: asked }: Call<"register">): Result<HeartbeatAnswer> {
    const now = this.#expire();
    const refused = this.#refusal(asked);
    if (refused !== null) return refused;
    const known = this.#servers.get(asked.serverId);
    const isSameStart = known?.registration.instance === asked.instance;
    if (known !== undefined && !isSameStart && this.#isInUse(known)) {
      const detail = `another process is registered as "${asked.serverId}" and its lease runs`;
      return { ...failure("server-exists", detail), retryAfterMs: known.endsAt - now };
    }
    const server = new OutsideServer(this.#rooms, asked, now);
    this.#servers.set(asked.serverId, server);
    const isUpdate = isSameStart && !known.isOffline;
    if (isSameStart) server.succeed(known);
    if (!isUpdate) {
      if (known?.isOffline === false) void this.#tellOffline(known, "replaced");
      this.#owner.emit({ type: "server:online", serverId: asked.serverId });
    }
    this.#keep(server);
    this.#arm();
    return success(server.answer(now));
  }

  async heartbeat({ server: id, report }: Call<"heartbeat">): Promise<Result<HeartbeatAnswer>> {
    const now = this.#expire();
    const server = this.#servers.get(id);
    const isKnown = server?.registration.instance === report.instance;
    if (!isKnown || server.isOffline) return unknownServer(id);
    if (report.asOf > now + clockToleranceMs) {
      return failure("malformed-body", `asOf is in the future: it is ${now} here`);
    }
    const rooms = report.rooms.flatMap(({ roomId, players, seats }) =>
      isRoomId(roomId) ? [{ room: roomId, players, seats }] : [],
    );
    if (rooms.length < report.rooms.length) {
      return failure("malformed-body", "a roomId of the report is not the id of a room");
    }
    server.lastHeartbeat = now;
    // One that was overtaken on its way says what is no longer true.
    if (report.asOf < server.asOf) return success(server.answer(now));
    server.asOf = report.asOf;
    const { asOf, isPartial = false } = report;
    const told = this.#reports.report(server, { asOf, isPartial, rooms });
    await this.#owner.within(tellMs, told);
    return success(server.answer(now, this.#reports.takeUnwanted(server)));
  }

  drain({ server: id }: Call<"drain">): Result<ServerRegistration> {
    this.#expire();
    const server = this.#servers.get(id);
    if (server === undefined || server.isOffline) return unknownServer(id);
    if (!server.isDraining) {
      server.isDraining = true;
      this.#keep(server);
      this.#owner.emit({ type: "server:draining", serverId: id });
    }
    return success(server.listing(this.#hosting.roomCount(server.tenant)));
  }

  async unregister({ server: id }: Call<"unregister">): Promise<Result<null>> {
    const server = this.#servers.get(id);
    if (server === undefined) return unknownServer(id);
    this.#drop(id);
    if (!server.isOffline) await this.#tellOffline(server, "unregistered");
    return success(null);
  }

  /** Servers after `after` in order of their ids; `through` is the last when there may be more. */
  list(
    after: string | null,
    limit: number,
    roomType: string | null = null,
  ): RegistryReplies["servers"] {
    this.#expire();
    const ids = [...this.#servers]
      .filter(([id]) => after === null || id > after)
      .filter(([, server]) => roomType === null || server.offers(roomType))
      .map(([id]) => id);
    const page = ids.toSorted((one, other) => (one < other ? -1 : 1)).slice(0, limit);
    const servers = page.flatMap((id) => this.#servers.get(id) ?? []);
    const through = page.length < ids.length ? (page.at(-1) ?? after) : null;
    return {
      servers: servers.map((server) => server.listing(this.#hosting.roomCount(server.tenant))),
      through,
    };
  }

  allocate({
    room,
    key,
    region,
    local = null,
    leaving,
  }: Call<"allocate">): Result<RegistryReplies["allocate"]> {
    this.#expire();
    const type = this.#rooms.typeOf(room);
    if (type === undefined) return failure("unknown-room-type", `no room type for "${room}"`);
    const tenant = this.#hosting.tenantOf(room, leaving);
    const present = tenant === null ? undefined : this.#servers.get(tenant.server);
    if (present !== undefined) {
      this.#hosting.renew(room);
      return success({ ...present.placeOf(room), isOld: true });
    }
    const asked = { key, region, local };
    const chosen = this.#choice.choose(type, this.#servers.values(), asked, leaving);
    if (!chosen.ok) return chosen;
    if (chosen.value === null) return success(null);
    this.#choice.placed(type);
    this.#hosting.assign(room, chosen.value.tenant);
    return success(chosen.value.placeOf(room));
  }

  /** What `allocate` would say. */
  offer({ roomType, key, region, local = null }: Call<"offer">): Result<RegistryReplies["offer"]> {
    this.#expire();
    const type = this.#rooms.type(roomType);
    if (type === undefined) return failure("unknown-room-type", `no room type "${roomType}"`);
    const chosen = this.#choice.choose(type, this.#servers.values(), { key, region, local });
    return chosen.ok ? success(chosen.value?.place ?? null) : chosen;
  }

  vacate({ room, server, at = Infinity }: Call<"vacate">): Result<null> {
    this.#hosting.vacate(room, server, at);
    return success(null);
  }

  nextDeadline(): number | null {
    const told = this.#hosting.nextDeadline();
    if (this.#nextAt === null || told === null) return this.#nextAt ?? told;
    return Math.min(this.#nextAt, told);
  }

  wake(now: number): void {
    if (this.#nextAt !== null && this.#nextAt <= now) {
      this.#nextAt = null;
      this.#expire();
      this.#arm();
    }
    this.#hosting.wake(now);
  }

  #refusal(asked: BodyOf<"registerServer">): Failure | null {
    if (!isServerAddress(asked.address)) {
      const detail = "address is a host name, or a ws, wss, http or https URL without a path";
      return failure("malformed-body", detail);
    }
    for (const name of asked.roomTypes) {
      const type = this.#rooms.type(name);
      if (type === undefined) return failure("unknown-room-type", `no room type "${name}"`);
      if (type.hostedBy === "shards") {
        return failure("malformed-body", `rooms of type "${name}" are hosted by shards`);
      }
    }
    return null;
  }

  /** Ends leases that ran out, and forgets servers that were offline for long. Gives the time. */
  #expire(): number {
    const now = this.#owner.clock.now();
    for (const [id, server] of this.#servers) {
      if (server.endsAt > now) continue;
      if (server.isOffline) {
        this.#drop(id);
        continue;
      }
      server.offlineSince = now;
      server.named.replace();
      this.#keep(server);
      void this.#tellOffline(server, "lease");
    }
    return now;
  }

  async #tellOffline(server: OutsideServer, reason: string): Promise<void> {
    server.offlineSince ??= this.#owner.clock.now();
    this.#owner.emit({ type: "server:offline", serverId: server.registration.serverId, reason });
    await this.#hosting.gone(server.tenant);
  }

  #arm(): void {
    if (this.#servers.size === 0) return;
    const next = Math.min(...[...this.#servers.values()].map(({ endsAt }) => endsAt));
    if (this.#nextAt !== null && this.#nextAt <= next) return;
    this.#nextAt = next;
    this.#owner.wakeAt(next);
  }

  /** Whether another process may not take this one's place. */
  #isInUse(server: OutsideServer): boolean {
    if (server.isOffline) return false;
    return !server.isDraining || this.#hosting.roomCount(server.tenant) > 0;
  }

  #keep(server: OutsideServer): void {
    this.#owner.storage.put({ [rowPrefix + server.registration.serverId]: server.row });
  }

  #drop(id: string): void {
    this.#servers.delete(id);
    this.#owner.storage.delete([rowPrefix + id]);
  }
}

function unknownServer(id: string): Failure {
  return failure(
    "unknown-server",
    `no server "${id}" is registered; one that was, or started anew, has to register again`,
  );
}
