/**
 * What the registry asks a game server to do with the state of its rooms: done once, however often it
 * is asked, and answered. Knows nothing of how.
 */
import { isRoomId } from "../../protocol/names.ts";
import type { SnapshotOrder } from "../../protocol/registry.ts";
import { failure, success } from "../../protocol/result.ts";
import type { HostedRooms } from "./hosted-rooms.ts";
import type { StateReports } from "./state-reports.ts";

/** The registry asks again for a while after it was answered. */
const maxRemembered = 1_000;

export class RoomOrders {
  readonly #rooms: HostedRooms;
  readonly #reports: StateReports;
  readonly #taken = new Set<string>();

  constructor(rooms: HostedRooms, reports: StateReports) {
    this.#rooms = rooms;
    this.#reports = reports;
  }

  take(orders: readonly SnapshotOrder[]): void {
    for (const order of orders) {
      if (this.#taken.has(order.order)) continue;
      this.#taken.add(order.order);
      this.#begin(order);
    }
    for (const oldest of this.#taken) {
      if (this.#taken.size <= maxRemembered) break;
      this.#taken.delete(oldest);
    }
  }

  #begin(order: SnapshotOrder): void {
    const { roomId, type } = order;
    if (!isRoomId(roomId)) return;
    const room = this.#rooms.get(roomId);
    if (room !== undefined) return void room.obey(order);
    const isEmpty = failure("room-empty", `nobody is in "${roomId}", so its state is not in use`);
    // It begins with the newest snapshot.
    const result = type === "takeSnapshot" ? isEmpty : success(null);
    this.#reports.of(roomId).done(order.order, result);
  }
}
