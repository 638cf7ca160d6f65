/**
 * Snapshots that servers outside store of their rooms: of those that are there, and newer than any that
 * another server has stored. Knows nothing of how they are kept.
 */
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import type { RegistryReplies } from "../protocol/registry-calls.ts";
import type { SnapshotInfo } from "../protocol/snapshot.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import { isMoving, isOn } from "./relocation.ts";
import type { Room, RoomHost } from "./room-record.ts";
import { unknownRoom } from "./room-life.ts";
import type { RoomStore } from "./room-store.ts";
import type { Snapshots } from "./snapshots.ts";

type Hosted = { readonly room: Room; readonly host: RoomHost };

export class HostedSnapshots {
  readonly #owner: RegistryOwner;
  readonly #store: RoomStore;
  readonly #snapshots: Snapshots;

  constructor(owner: RegistryOwner, store: RoomStore, snapshots: Snapshots) {
    this.#owner = owner;
    this.#store = store;
    this.#snapshots = snapshots;
  }

  handle(
    request: RequestOf<"beginHosted" | "commitHosted">,
  ): Result<RegistryReplies["beginHosted" | "commitHosted"]> {
    const hosted = this.#hosted(request);
    if (!hosted.ok) return hosted;
    if (request.type === "commitHosted") return this.#commit(hosted.value, request.id);
    return this.#begin(hosted.value, request);
  }

  #commit({ room, host }: Hosted, id: string): Result<SnapshotInfo> {
    const stored = this.#snapshots.commit(room.id, id);
    if (stored.ok && host.stateError !== undefined) {
      const { stateError: _, ...mended } = host;
      this.#store.setHost(room, mended);
    }
    return stored;
  }

  #begin({ room, host }: Hosted, request: RequestOf<"beginHosted">) {
    const epoch = host.epoch ?? this.#newEpoch(room);
    if (host.epoch === undefined) this.#store.setHost(room, { ...host, epoch });
    const position = { epoch, seq: request.seq };
    return this.#snapshots.begin(room.id, position, request.digests, room.type.snapshotTtlMs);
  }

  /** Who has lost the room, or let go of it, has nothing more to say of it. */
  #hosted(from: RequestOf<"beginHosted" | "commitHosted">): Result<Hosted> {
    const room = this.#store.get(from.room);
    if (room === undefined) return unknownRoom(from.room);
    if (room.departure !== null) return isMoving(room);
    const { host } = room;
    return host === null || !isOn(room, from) ? elsewhere(room) : success({ room, host });
  }

  /** Sorts after that of every snapshot that there is. */
  #newEpoch({ id }: Room): string {
    const newest = this.#snapshots.newest(id);
    const begun = newest.ok ? Number.parseInt(newest.value.position.epoch, 36) : Number.NaN;
    const { clock, entropy } = this.#owner.ports;
    const time = Number.isNaN(begun) ? clock.now() : Math.max(clock.now(), begun + 1);
    return `${time.toString(36).padStart(9, "0")}.${entropy.id()}`;
  }
}

function elsewhere({ id }: Room): Failure {
  return failure("room-elsewhere", `"${id}" is not on this server`);
}
