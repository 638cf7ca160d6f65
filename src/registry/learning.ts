/**
 * Asks shards for their load: after this object has lost its memory, and before a room is given up.
 * Rooms that somebody waits for come first, the others a few at a time, so that 100,000 rooms are
 * neither woken at once nor remembered for ever. Knows nothing of servers outside, which report.
 */
import type { LoadReply } from "../protocol/calls.ts";
import { idOf, type Slot } from "../core/layout.ts";
import type { RoomId, ShardId } from "../protocol/names.ts";
import type { CallSlots } from "./call-slots.ts";
import type { RegistryOwner } from "./part.ts";
import type { Room } from "./room-record.ts";
import type { RoomStore } from "./room-store.ts";
import { ShardCounts } from "./shard-counts.ts";

/** How many remembered rooms are looked at, and how often. */
const stepRooms = 250;
const stepMs = 500;
/** A shard that did not answer is asked again after this. */
const askAgainMs = 60_000;

type Question = {
  readonly answered: Promise<void>;
  readonly isUrgent: boolean;
  /** Shards that have reported since: that is newer than what they answer. */
  readonly reported: Set<ShardId>;
};

export class Learning {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #slots: CallSlots;
  /** Whoever finds out whether a shard is dead. */
  readonly #suspect: (shard: ShardId) => void;
  readonly #asked = new Map<Room, Question>();
  /** The last remembered room that was looked at; `null` once all have been. */
  #through: RoomId | "" | null;
  #nextAt: number | null = null;

  constructor(
    owner: RegistryOwner,
    parts: { store: RoomStore; slots: CallSlots; suspect: (shard: ShardId) => void },
  ) {
    this.#owner = owner;
    this.#store = parts.store;
    this.#slots = parts.slots;
    this.#suspect = parts.suspect;
    this.#through = null;
  }

  /** Rooms that this object does not know the load of have come into the directory. */
  begin(): void {
    if (this.#store.directory.size === 0) return;
    this.#through = "";
    this.#nextAt ??= this.#owner.ports.clock.now() + stepMs;
    this.#owner.rearm();
  }

  /** Resolves once the room's load is known as far as its shards answer. */
  async know(room: Room): Promise<void> {
    if (!room.isKnown && room.host === null) await this.ask(room, true);
  }

  /** Asks every shard; one question a room at a time, unless the one under way is not urgent. */
  ask(room: Room, isUrgent: boolean): Promise<void> {
    const under = this.#asked.get(room);
    if (under !== undefined && (under.isUrgent || !isUrgent)) return under.answered;
    const reported = under?.reported ?? new Set();
    const answered = this.#askShards(room, isUrgent, reported).finally(() => {
      if (this.#asked.get(room)?.answered === answered) this.#asked.delete(room);
    });
    this.#asked.set(room, { answered, isUrgent, reported });
    return answered;
  }

  /** Asks one shard whether what it has reported is so still. */
  async confirm(room: Room, slot: Slot): Promise<void> {
    await this.#askShard(room, slot, { isUrgent: false, isOld: () => !this.#store.has(room) });
    this.#askAgain(room);
  }

  nextDeadline(): number | null {
    return this.#nextAt;
  }

  wake(now: number): void {
    if (this.#nextAt === null || this.#nextAt > now || this.#through === null) return;
    this.#nextAt = now + stepMs;
    if (this.#slots.waiting > 0) return;
    let looks = 0;
    for (const room of this.#store.directory.after(null, this.#through)) {
      if (looks === stepRooms) return;
      looks += 1;
      this.#through = room.id;
      if (!room.isKnown && room.host === null) void this.ask(room, false);
    }
    this.#through = null;
    this.#nextAt = null;
  }

  async #askShards(room: Room, isUrgent: boolean, reported: Set<ShardId>): Promise<void> {
    room.counts ??= new ShardCounts();
    const { counts } = room;
    // After a restart only those that have not told of themselves.
    const unheard = this.#slotsOf(room).filter(
      (slot) => room.isKnown || counts.reportedAt(slot) === 0,
    );
    const asked = unheard.map((slot) =>
      this.#askShard(room, slot, {
        isUrgent,
        isOld: () => reported.has(idOf(room.id, slot)),
      }),
    );
    await Promise.all(asked);
    this.#store.changeLoad(room, () => {
      room.isKnown = true;
    });
    this.#askAgain(room);
  }

  /** `isOld`: whether an answer that comes now says nothing any more. */
  #askShard(
    room: Room,
    slot: Slot,
    { isUrgent, isOld }: { readonly isUrgent: boolean; readonly isOld: () => boolean },
  ): Promise<void> {
    return this.#slots.run(async () => {
      const shard = idOf(room.id, slot);
      const to = { role: "shard", id: shard } as const;
      const reply = await this.#owner.ports.calls.call(to, { type: "load" });
      // It may have left meanwhile.
      if (isOld() || this.#store.layouts.slot(room, shard) === undefined) return;
      if (reply.ok) this.#take(room, slot, reply.value);
      else {
        room.counts?.notReached(slot);
        if (reply.code === "unreachable") this.#suspect(shard);
      }
    }, isUrgent);
  }

  /** Nobody waits for those that are offline: they are asked until they are back. */
  #slotsOf(room: Room): Slot[] {
    const { slots } = this.#store.layouts.of(room);
    return slots.filter(({ status }) => status !== "offline");
  }

  /** Some shards may not have answered. */
  #askAgain(room: Room): void {
    const again = this.#owner.ports.clock.now() + askAgainMs;
    const unreached = room.counts?.unreached ?? 0;
    if (unreached > 0 && this.#store.has(room)) this.#store.lookAt(room, again);
  }

  /** What a shard says of itself. */
  takeReport(room: Room, slot: Slot, load: LoadReply): void {
    this.#asked.get(room)?.reported.add(idOf(room.id, slot));
    this.#take(room, slot, load);
  }

  /** The shard is no more: nobody is there. */
  drop(room: Room, slot: Slot): void {
    this.#store.changeLoad(room, () => {
      const lost = room.counts?.drop(slot);
      if (lost === undefined) return;
      room.connections -= lost.connections;
      room.reserved -= lost.reserved;
      // Such rooms have one shard, and all their players were there, unless they are being moved.
      if (room.players !== null && room.connections === 0) room.players = [];
    });
  }

  #take(room: Room, slot: Slot, load: LoadReply): void {
    room.counts ??= new ShardCounts();
    if (room.counts.isOvertaken(slot, load.at)) return;
    this.#store.changeLoad(room, () => {
      room.counts ??= new ShardCounts();
      const grown = room.counts.report(slot, load, this.#owner.ports.clock.now());
      room.connections += grown.connections;
      room.reserved += grown.reserved;
      room.players = load.players;
      room.isKnown ||= room.counts.areAllKnown(this.#slotsOf(room));
    });
  }
}
