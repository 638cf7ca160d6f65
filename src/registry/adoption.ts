/** Takes over rows of rooms, locks and snapshots from a former partition, as many times as they are sent. */
import { partitionOf } from "../core/partitions.ts";
import { isRoomId, type RoomId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import type { HostedRooms } from "./hosted-rooms.ts";
import type { Learning } from "./learning.ts";
import { layoutPrefix } from "./layouts.ts";
import { lastTokenKey, lockPrefix, type Locks } from "./locks.ts";
import type { RegistryOwner, RequestOf } from "./part.ts";
import type { Relocation } from "./relocation.ts";
import type { RoomLife } from "./room-life.ts";
import { namedByRow, rowPrefix, seatsPrefix, type RoomStore } from "./room-store.ts";
import type { Scaling } from "./scaling.ts";
import { partPrefix, snapshotPrefix, type Snapshots } from "./snapshots.ts";

const prefixes = [layoutPrefix, rowPrefix, seatsPrefix, lockPrefix, partPrefix, snapshotPrefix];

type Parts = {
  readonly store: RoomStore;
  readonly learning: Learning;
  readonly life: RoomLife;
  readonly relocation: Relocation;
  readonly hosted: HostedRooms;
  readonly locks: Locks;
  readonly snapshots: Snapshots;
  readonly scaling: Scaling;
};

export class Adoption {
  readonly #owner: RegistryOwner;
  readonly #parts: Parts;

  constructor(owner: RegistryOwner, parts: Parts) {
    this.#owner = owner;
    this.#parts = parts;
  }

  adopt({ rows }: RequestOf<"adopt">): Result<null> {
    const { store, learning, life, relocation, hosted, locks, snapshots, scaling } = this.#parts;
    const { rooms, name } = this.#owner;
    const laid = new Set<RoomId>();
    for (const [key, value] of Object.entries(rows)) {
      if (key === lastTokenKey) locks.adopt({ [key]: value });
      const prefix = prefixes.find((each) => key.startsWith(each));
      if (prefix === undefined) continue;
      const named = namedByRow(key, prefix);
      // The caller counts other partitions than this one: both must run the same code first.
      if (partitionOf(named, rooms.deployment.partitions) !== name) {
        return failure("unavailable", `"${named}" belongs to another partition`);
      }
      if (isRoomId(named)) laid.add(named);
      if (prefix === lockPrefix) locks.adopt({ [key]: value });
      else if (!isRoomId(named)) continue;
      else if (prefix === partPrefix) snapshots.adoptPart(key, value);
      else if (prefix === snapshotPrefix) snapshots.adopt(named, value);
      else if (prefix === layoutPrefix) {
        const type = rooms.typeOf(named);
        if (type !== undefined) store.layouts.adopt({ id: named, type }, value);
      } else if (prefix === rowPrefix) {
        if (store.adopt(named, value)) life.takeLimitBack(named);
      } else hosted.adopt(key, value);
    }
    for (const id of laid) {
      const room = store.get(id);
      // A drain goes on here; a room's row comes later than its layout.
      if (room !== undefined) scaling.follow(room);
    }
    learning.begin();
    relocation.begin();
    return success(null);
  }
}
