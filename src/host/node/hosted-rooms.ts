/**
 * The rooms of one game server: each begins when it is asked for and ends when it has been empty for a
 * while and nobody is expected. Knows nothing of tickets, or of the registry but the time that it is
 * given.
 */
import type { RoomType } from "../../core/rooms.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import { roomType, type RoomId } from "../../protocol/names.ts";
import type { BodyInput } from "../../protocol/registry.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import type { RoomFactory } from "./game-room.ts";
import { HostedRoom, type HostedRoomOptions } from "./hosted-room.ts";
import type { StateReports } from "./state-reports.ts";

export type HostedRoomsOptions = Pick<
  HostedRoomOptions,
  "snapshots" | "registryTime" | "onChange" | "onError"
> & {
  readonly reports: StateReports;
  readonly types: ReadonlyMap<string, RoomType>;
  readonly rooms: Readonly<Record<string, RoomFactory>>;
  readonly capacity: number;
  readonly emptyRoomMs: number;
};

/** Why a room stays though nobody is in it. */
export type Keep = {
  /** A seat is promised to somebody who has until then, by the registry's time, to take it. */
  readonly heldUntil?: number;
  /** How long it may be empty, if that is longer than for other rooms. */
  readonly emptyMs?: number;
};

type Reported = BodyInput<"heartbeat">["rooms"];

type Entry = {
  readonly opening: Promise<HostedRoom>;
  room: HostedRoom | null;
  heldUntil: number;
  emptyMs: number;
  /** By the process's clock. */
  emptySince: number;
  emptyTimer: ReturnType<typeof setTimeout> | null;
};

/** An empty room is looked at so often: how far the registry's time has come is not known before. */
const lookMs = 60_000;

export class HostedRooms {
  readonly #options: HostedRoomsOptions;
  readonly #entries = new Map<RoomId, Entry>();
  /** Rooms of which the registry has not been told how they are now. */
  readonly #news = new Set<RoomId>();
  /** No new rooms. */
  isClosed = false;

  constructor(options: HostedRoomsOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  *[Symbol.iterator](): Generator<HostedRoom> {
    for (const { room } of this.#entries.values()) if (room !== null) yield room;
  }

  get(id: RoomId): HostedRoom | undefined {
    return this.#entries.get(id)?.room ?? undefined;
  }

  /** All of them. */
  report(): Reported {
    this.#news.clear();
    return [...this].filter(({ hasLeft }) => !hasLeft).map((room) => room.report());
  }

  /** Those that have changed, begun or ended since the last report of either kind. */
  reportNews(): Reported {
    const news = [...this.#news];
    this.#news.clear();
    return news.flatMap((roomId) => {
      const room = this.get(roomId);
      if (room === undefined) return [{ roomId, players: [], seats: [] }];
      return room.hasLeft ? [] : [room.report()];
    });
  }

  /** The room, which begins if it is not there. */
  async open(
    id: RoomId,
    keep: Keep = {},
  ): Promise<Result<HostedRoom, "unavailable" | "unknown-room-type">> {
    const known = this.#entries.get(id);
    if (known !== undefined) {
      lengthen(known, keep);
      return settled(known.opening);
    }
    const type = this.#options.types.get(roomType(id));
    const create = this.#options.rooms[roomType(id)];
    if (type === undefined || create === undefined) {
      return failure("unknown-room-type", `this server has no rooms of type "${roomType(id)}"`);
    }
    if (this.isClosed) return failure("unavailable", "the server takes no new rooms");
    if (this.size >= this.#options.capacity) return failure("unavailable", "the server is full");
    const { snapshots, reports, registryTime, onError } = this.#options;
    const opening = HostedRoom.start({
      room: id,
      type,
      create,
      snapshots,
      report: reports.of(id),
      registryTime,
      onError,
      onChange: () => this.#changed(id),
    });
    const { emptyRoomMs: emptyMs } = this.#options;
    const times = { heldUntil: 0, emptyMs, emptySince: 0 };
    const entry: Entry = { opening, room: null, ...times, emptyTimer: null };
    lengthen(entry, keep);
    this.#entries.set(id, entry);
    const opened = await settled(opening);
    if (this.#entries.get(id) !== entry) return failure("unavailable", "the room is over");
    if (opened.ok) {
      entry.room = opened.value;
      this.#changed(id);
    } else {
      this.#entries.delete(id);
      await opening.catch(onError);
    }
    return opened;
  }

  /** Ends the room: its clients are to come back through the router. */
  close(id: RoomId, reason: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.delete(id);
    if (entry.emptyTimer !== null) clearTimeout(entry.emptyTimer);
    // One that is only just opening ends when it has opened.
    void entry.opening.then(
      (room) => room.end(closeCodes.moved, reason),
      () => {},
    );
    this.#tell(id);
  }

  closeAll(reason: string): void {
    for (const id of this.#entries.keys()) this.close(id, reason);
  }

  #changed(id: RoomId): void {
    const entry = this.#entries.get(id);
    if (entry?.room?.isEmpty === true) {
      if (entry.emptyTimer === null) {
        entry.emptySince = performance.now();
        this.#closeWhenOver(id, entry);
      }
    } else if (entry !== undefined && entry.emptyTimer !== null) {
      clearTimeout(entry.emptyTimer);
      entry.emptyTimer = null;
    }
    this.#tell(id);
  }

  #tell(id: RoomId): void {
    this.#news.add(id);
    this.#options.onChange();
  }

  /** Of a room that is empty. */
  #closeWhenOver(id: RoomId, entry: Entry): void {
    entry.emptyTimer = setTimeout(
      () => {
        entry.emptyTimer = null;
        // Somebody may be on the way in.
        if (entry.room?.isEmpty !== true) return;
        if (this.#leftMs(entry) > 0) this.#closeWhenOver(id, entry);
        else void this.#closeEmpty(id, entry);
      },
      Math.min(Math.max(0, this.#leftMs(entry)), lookMs),
    );
  }

  /** Whoever comes while its state is stored keeps it. */
  async #closeEmpty(id: RoomId, entry: Entry): Promise<void> {
    await entry.room?.store();
    if (this.#entries.get(id) !== entry || entry.emptyTimer !== null) return;
    if (entry.room?.isEmpty === true) this.close(id, "the room was empty");
  }

  #leftMs({ emptySince, emptyMs, heldUntil }: Entry): number {
    const emptyLeftMs = emptySince + emptyMs - performance.now();
    return Math.max(emptyLeftMs, heldUntil - this.#options.registryTime());
  }
}

function lengthen(entry: Entry, { heldUntil = 0, emptyMs = 0 }: Keep): void {
  entry.heldUntil = Math.max(entry.heldUntil, heldUntil);
  entry.emptyMs = Math.max(entry.emptyMs, emptyMs);
}

async function settled(opening: Promise<HostedRoom>): Promise<Result<HostedRoom, "unavailable">> {
  try {
    return success(await opening);
  } catch {
    return failure("unavailable", "the room could not be made");
  }
}
