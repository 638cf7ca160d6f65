/**
 * Which objects serve a room. Owns the rows `layout/ROOM`, which only rooms have whose layout is not
 * the plain one; they stay when the room is forgotten, since a generation that was must not serve again.
 */
import { findSlot, isPlain, merged, parseLayout, plainLayout, settled } from "../core/layout.ts";
import type { Layout, Slot } from "../core/layout.ts";
import type { RoomType } from "../core/rooms.ts";
import { isRoomId, type RoomId, type ShardId } from "../protocol/names.ts";
import type { Storage } from "../core/ports.ts";

export const layoutPrefix = "layout/";

/** What a layout is of. */
export type Laid = { readonly id: RoomId; readonly type: RoomType };

export class Layouts {
  readonly #storage: Storage;
  readonly #layouts = new Map<RoomId, Layout>();
  readonly #plain = new Map<RoomType, Layout>();

  private constructor(storage: Storage) {
    this.#storage = storage;
  }

  static async start(storage: Storage): Promise<Layouts> {
    const layouts = new Layouts(storage);
    for (const [key, value] of await storage.list(layoutPrefix)) {
      const room = key.slice(layoutPrefix.length);
      const layout = parseLayout(value);
      if (isRoomId(room) && layout !== null) layouts.#layouts.set(room, layout);
    }
    return layouts;
  }

  of({ id, type }: Laid): Layout {
    return this.#layouts.get(id) ?? this.#plainOf(type);
  }

  /** Of a room whose layout is not the plain one. */
  slotsOf(room: RoomId): readonly Slot[] {
    return this.#layouts.get(room)?.slots ?? [];
  }

  slot(room: Laid, shard: ShardId): Slot | undefined {
    return findSlot(this.of(room), shard);
  }

  /** Durable before anything that is sent after it. */
  set({ id, type }: Laid, layout: Layout): void {
    if (isPlain(layout, type)) {
      if (this.#layouts.delete(id)) this.#storage.delete([layoutPrefix + id]);
      return;
    }
    this.#layouts.set(id, layout);
    this.#storage.put({ [layoutPrefix + id]: layout });
  }

  /** Nobody is in the room any more. */
  settle(room: Laid): void {
    if (this.#layouts.has(room.id)) this.set(room, settled(this.of(room), room.type));
  }

  /** A row of another partition. */
  adopt(room: Laid, value: unknown): void {
    const layout = parseLayout(value);
    if (layout === null) return;
    const known = this.#layouts.get(room.id);
    this.set(room, known === undefined ? layout : merged(known, layout));
  }

  /** Rooms whose layout is not the plain one. */
  rooms(): Iterable<RoomId> {
    return this.#layouts.keys();
  }

  #plainOf(type: RoomType): Layout {
    const known = this.#plain.get(type);
    if (known !== undefined) return known;
    const layout = plainLayout(type);
    this.#plain.set(type, layout);
    return layout;
  }
}
