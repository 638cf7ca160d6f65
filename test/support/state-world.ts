/**
 * A room whose class keeps a ledger of all that it was sent: its shards on fake ports, a model of its
 * log, and the registry's snapshots. The test decides what happens to them.
 */
import { defineRooms, type RoomTypeOptions } from "../../src/core/rooms.ts";
import type { LogRange } from "../../src/protocol/calls.ts";
import { encodeFrame, type BatchFrame, type Position } from "../../src/protocol/link.ts";
import { shardId, type RoomId } from "../../src/protocol/names.ts";
import { Snapshots } from "../../src/registry/snapshots.ts";
import type { BroadcastMessage } from "../../src/shard/fan-out.ts";
import type { StateHooks } from "../../src/shard/state.ts";
import { plainRequest } from "../../src/shard/clients.ts";
import { Shard } from "../../src/shard/shard.ts";
import { lost, type Answer, type Call } from "./fake-calls.ts";
import { FakeClock } from "./fake-clock.ts";
import { fakePorts } from "./fake-ports.ts";
import { FakeLink, FakeSocket } from "./fake-socket.ts";
import { turns } from "./turns.ts";

const room = "lobby" as RoomId;

/** The room class. A test may replace its hooks. */
class Ledger {
  seen: string[] = [];
  /** What it was handed, and how. */
  readonly handed: string[] = [];

  getSnapshot: () => unknown = () => this.seen;
  onRestore: (snapshot: unknown) => unknown = (snapshot) => {
    this.seen = snapshot as string[];
  };

  onBroadcast({ data, isReplay, isRestoring }: BroadcastMessage): string {
    const how = isRestoring ? "restoring" : isReplay ? "again" : "new";
    this.handed.push(`${how} ${String(data)}`);
    if (isRestoring || !isReplay) this.seen.push(String(data));
    return String(data);
  }

  get hooks(): StateHooks {
    return {
      getSnapshot: () => this.getSnapshot(),
      onRestore: (snapshot) => this.onRestore(snapshot),
    };
  }
}

/** Resolves when something has come about that takes more than turns, such as a digest. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await turns();
}

/** Whether a client is let in while `onRestore` does as `hook` does, which is waited for as ever. */
export async function joinDespite(
  hook: () => unknown,
  world: StateWorld,
  shard: StatefulShard,
): Promise<boolean> {
  const called = Promise.withResolvers<undefined>();
  shard.ledger.onRestore = () => {
    called.resolve(undefined);
    return hook();
  };
  const joining = shard.join();
  await called.promise;
  await turns();
  await world.pass(5_000);
  return joining;
}

export class StateWorld {
  readonly clock = new FakeClock();
  readonly options: RoomTypeOptions;
  readonly shards: StatefulShard[] = [];
  /** Every message of this life of the room. */
  said: string[] = [];
  /** A later one sorts behind those before it. */
  epoch = "e01";
  /** What the log still holds. */
  log: BatchFrame[] = [];
  /** Roles that do not answer. */
  readonly down = new Set<string>();
  readonly #storage = fakePorts();
  #snapshots: Snapshots | undefined;
  /** What the sequencer was told last. */
  snapshotted: Position | null = null;

  constructor(options: RoomTypeOptions = {}) {
    this.options = options;
  }

  static async start(shards: number, options: RoomTypeOptions = {}): Promise<StateWorld> {
    const world = new StateWorld(options);
    const ports = { ...world.#storage, clock: world.clock, wakeAt: () => {} };
    world.#snapshots = await Snapshots.start(ports);
    for (let number = 1; number <= shards; number += 1) {
      world.shards.push(await StatefulShard.start(world, number));
    }
    return world;
  }

  get snapshots(): Snapshots {
    if (this.#snapshots === undefined) throw new Error("not started");
    return this.#snapshots;
  }

  /** The newest snapshot's number, or `null`. */
  get stored(): number | null {
    const newest = this.snapshots.newest(room);
    return newest.ok ? newest.value.position.seq : null;
  }

  at(number: number): StatefulShard {
    const shard = this.shards[number - 1];
    if (shard === undefined) throw new Error(`no shard ${number}`);
    return shard;
  }

  /** A batch is logged and sent to every shard with clients. */
  async say(...entries: string[]): Promise<void> {
    const after = this.said.length;
    this.said.push(...entries);
    const { epoch, clock } = this;
    const through = this.said.length;
    this.log.push({ type: "batch", epoch, after, through, at: clock.now(), entries });
    for (const shard of this.shards) await shard.catchUp();
  }

  /** The log lets go of what the newest snapshot holds and all clients have, or of everything. */
  trim(isAll = false): void {
    const needed = this.shards.flatMap((shard) => (shard.clients.length > 0 ? [shard.seq] : []));
    const kept = isAll ? Infinity : Math.min(this.snapshotted?.seq ?? 0, ...needed);
    this.log = this.log.filter(({ through }) => through > kept);
  }

  /** The room begins another life; a snapshot of the last may have come too late to be dropped. */
  dispose(dropsSnapshot = true): void {
    for (const { shard } of this.shards) shard.handle({ type: "dispose" });
    for (const each of this.shards) each.forgetClients();
    if (dropsSnapshot) this.snapshots.drop(room);
    this.epoch = `e${String(Number(this.epoch.slice(1)) + 1).padStart(2, "0")}`;
    this.said = [];
    this.log = [];
    this.snapshotted = null;
  }

  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    for (const { shard } of this.shards) shard.wake();
    await turns();
  }

  answer({ role, request }: Call): Answer | Promise<Answer> {
    if (this.down.has(role)) return lost;
    switch (request.type) {
      case "subscribe":
        return ok({ epoch: this.epoch, seq: this.said.length, subscription: "s" });
      case "read":
        return ok(this.#read(request.position));
      case "snapshotted":
        if (request.position.epoch === this.epoch) this.snapshotted = request.position;
        return ok(null);
      case "snapshot":
        return this.snapshots.newest(room);
      case "readSnapshot":
        return this.snapshots.read(room, request.id, request.index);
      case "beginSnapshot": {
        const { position, digests, isTimed } = request;
        return this.snapshots.begin(room, position, digests, 1_000_000, isTimed);
      }
      case "snapshotPart":
        return this.snapshots.part(room, request.id, request.index, request.text);
      case "commitSnapshot":
        return this.snapshots.commit(room, request.id);
      default:
        return ok(null);
    }
  }

  /** A batch at a time, so that readers have to come back. */
  #read(position: Position | null): LogRange {
    const { epoch, log, said } = this;
    const start = log[0]?.after ?? said.length;
    const after = Math.max(position?.epoch === epoch ? position.seq : 0, start);
    const next = log.find(({ through }) => through > after);
    const frames = next === undefined ? [] : [encodeFrame(next)];
    return { epoch, after, through: said.length, frames };
  }
}

function ok(value: unknown): Answer {
  return { ok: true, value };
}

export class StatefulShard {
  readonly #world: StateWorld;
  readonly #number: number;
  ports: ReturnType<typeof fakePorts>;
  ledger = new Ledger();
  clients: FakeSocket[] = [];
  readonly errors: unknown[] = [];
  /** Whether its link carries nothing at the moment. */
  isLagging = false;
  #link: FakeLink | null = null;
  #shard: Shard | undefined;

  private constructor(world: StateWorld, number: number) {
    this.#world = world;
    this.#number = number;
    this.ports = { ...fakePorts(), clock: world.clock };
  }

  static async start(world: StateWorld, number: number): Promise<StatefulShard> {
    const shard = new StatefulShard(world, number);
    await shard.#begin([]);
    return shard;
  }

  get shard(): Shard {
    if (this.#shard === undefined) throw new Error("not started");
    return this.#shard;
  }

  /** How far its clients are. */
  get seq(): number {
    return this.#link?.position?.seq ?? 0;
  }

  /** Whether the shard let a client in. */
  async join(): Promise<boolean> {
    const admitted = await this.shard.admit(`c${this.clients.length}`);
    if (!admitted.ok) return false;
    const client = new FakeSocket();
    this.shard.welcome(client, "", plainRequest, admitted.value);
    this.clients.push(client);
    this.#openLink();
    return true;
  }

  leave(): void {
    const client = this.clients.pop();
    if (client !== undefined) this.shard.leave(client);
  }

  forgetClients(): void {
    this.clients = [];
    this.#link = null;
  }

  /** The memory is gone; the sockets stay. */
  async sleep(): Promise<void> {
    await turns();
    await this.#begin(this.#link === null ? [] : [this.#link]);
  }

  /** The memory is gone, and the sockets with it. */
  async crash(): Promise<void> {
    await turns();
    this.forgetClients();
    await this.#begin([]);
  }

  /** Takes what its clients lack. */
  async catchUp(): Promise<void> {
    const link = this.#link;
    if (this.clients.length === 0 || link === null || this.isLagging) return;
    for (const frame of this.#world.log) {
      const here = link.position?.seq ?? 0;
      // As the sequencer does with one that lacks what the log has let go of.
      if (frame.after > here) return this.reset();
      if (frame.through > here) {
        await this.shard.handleLinkMessage(link, encodeFrame(frame));
      }
    }
  }

  /** Its clients go on from the head of the log: what they lack is lost to them. */
  async reset(): Promise<void> {
    if (this.#link === null) return;
    const { epoch, said } = this.#world;
    const frame = encodeFrame({ type: "reset", epoch, seq: said.length });
    await this.shard.handleLinkMessage(this.#link, frame);
    this.clients = [];
  }

  async #begin(links: readonly FakeLink[]): Promise<void> {
    const world = this.#world;
    this.ports = { ...this.ports, storage: this.ports.storage.restart() };
    this.ports.calls.answer = (call) => world.answer(call);
    this.ledger = new Ledger();
    const { ledger } = this;
    const type = defineRooms({ default: world.options }).typeOf(room);
    if (type === undefined) throw new Error("no type");
    const ports = {
      ...this.ports,
      registry: "default",
      onBroadcast: (message: BroadcastMessage) => ledger.onBroadcast(message),
      state: ledger.hooks,
      onHookError: (error: unknown) => void this.errors.push(error),
    };
    const survivors = this.clients.map((socket) => ({
      socket,
      connection: "",
      request: plainRequest,
    }));
    this.#shard = await Shard.start(shardId(room, this.#number), type, ports, survivors, links);
  }

  #openLink(): void {
    if (this.#link !== null && this.#link.closedWith === null) return;
    this.#link = new FakeLink();
    this.shard.handleLinkOpen(this.#link);
  }
}
