/**
 * The state of one room on a game server: taken up before the room's first player, stored when it has
 * changed, and never by a hook that is waited for in vain. Knows nothing of players.
 */
import { decodeSnapshot, encodeSnapshot } from "../../core/snapshot-value.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { RoomId } from "../../protocol/names.ts";
import { success, type Result } from "../../protocol/result.ts";
import { digestOf } from "../../protocol/snapshot.ts";
import { TimedHook } from "../../shard/timed-hook.ts";
import { clock, entropy, WakeTimer } from "../platform.ts";
import type { RoomHandlers } from "./game-room.ts";
import type { RoomSnapshots } from "./room-snapshots.ts";

/** A hook is waited for so long. */
const defaultHookMs = 5_000;

export type RoomStateOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly handlers: RoomHandlers;
  readonly snapshots: Pick<RoomSnapshots, "read" | "store">;
  /** What a hook threw, and why a snapshot was not stored or taken up. */
  readonly onError: (error: unknown) => void;
  readonly hookMs?: number;
};

export class RoomState {
  readonly #options: RoomStateOptions;
  readonly #getSnapshot: TimedHook;
  readonly #onRestore: TimedHook;
  readonly #hookTimer: WakeTimer;
  readonly #hookMs: number;
  #timer: ReturnType<typeof setTimeout> | null = null;
  /** Of the text that the registry has. */
  #stored: string | null = null;
  #storing: Promise<Result<null>> = Promise.resolve(success(null));
  #isOver = false;

  constructor(options: RoomStateOptions) {
    this.#options = options;
    this.#hookMs = options.hookMs ?? defaultHookMs;
    const { handlers, onError } = options;
    this.#hookTimer = new WakeTimer(() => this.#wake());
    const owner = { clock, onError, rearm: () => this.#rearm() };
    this.#getSnapshot = new TimedHook("getSnapshot", () => handlers.getSnapshot?.(), owner);
    this.#onRestore = new TimedHook("onRestore", (state) => restore(handlers, state), owner);
  }

  /**
   * Takes up the newest snapshot, if there is one. Fails only when that cannot be known, since a room
   * that began without it would take its place; of what the room's owner does wrong, he is told.
   */
  async restore(): Promise<Result<null>> {
    const { room, type, snapshots } = this.#options;
    if (!this.#keepsState) return success(null);
    const read = await snapshots.read(room);
    if (!read.ok && read.code !== "snapshot-damaged" && read.code !== "state-failed") return read;
    if (!read.ok) this.#fail("take up", read.detail);
    else if (read.value !== null) {
      const { text } = read.value;
      const state = decodeSnapshot(type.name, text);
      if (!state.ok) this.#fail("take up", state.detail);
      else if (await this.#hand(state.value)) this.#stored = await digestOf(text);
    }
    this.#schedule();
    return success(null);
  }

  /** Stores the state as it is now, if it has changed; one attempt at a time. */
  store(): Promise<Result<null>> {
    this.#storing = this.#storing.then(() => this.#store());
    return this.#storing;
  }

  /** Nothing is stored any more, but what is on its way. */
  end(): void {
    this.#isOver = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  get #keepsState(): boolean {
    return this.#options.handlers.getSnapshot !== undefined;
  }

  async #store(): Promise<Result<null>> {
    if (!this.#keepsState || this.#isOver) return success(null);
    const { room, type, snapshots } = this.#options;
    const encode = (state: unknown): Result<string> => encodeSnapshot(type.name, state);
    const given = await this.#getSnapshot.call(undefined, encode, this.#hookMs);
    const text = given.ok ? given.value : given;
    if (!text.ok) {
      // What it threw was told as it was thrown.
      if (text.code !== "hook-threw") this.#fail("store", text.detail);
      return text;
    }
    const digest = await digestOf(text.value);
    if (digest === this.#stored) return success(null);
    const stored = await snapshots.store(room, text.value);
    if (stored.ok) this.#stored = digest;
    else this.#fail("store", stored.detail);
    return stored.ok ? success(null) : stored;
  }

  /** Whether the room has taken the state up. */
  async #hand(state: unknown): Promise<boolean> {
    const handed = await this.#onRestore.call(state, () => null, this.#hookMs);
    if (!handed.ok && handed.code !== "hook-threw") this.#fail("take up", handed.detail);
    return handed.ok;
  }

  #fail(what: string, detail: string): void {
    const { room, onError } = this.#options;
    onError(new Error(`could not ${what} the state of "${room}": ${detail}`));
  }

  /** Rooms that began together do not store at once. */
  #schedule(): void {
    const { snapshotIntervalMs } = this.#options.type;
    if (this.#isOver || snapshotIntervalMs === 0) return;
    const delayMs = snapshotIntervalMs * (0.9 + 0.2 * entropy.random());
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.store().then(() => this.#schedule());
    }, delayMs);
  }

  #wake(): void {
    const now = clock.now();
    this.#getSnapshot.wake(now);
    this.#onRestore.wake(now);
    this.#rearm();
  }

  #rearm(): void {
    const now = clock.now();
    const due = [this.#getSnapshot, this.#onRestore].flatMap(
      (hook) => hook.nextDeadline(now) ?? [],
    );
    this.#hookTimer.set(due.length === 0 ? null : Math.min(...due));
  }
}

function restore(handlers: RoomHandlers, state: unknown): unknown {
  if (handlers.onRestore !== undefined) return handlers.onRestore(state);
  throw new Error("the room has getSnapshot and no onRestore");
}
