/**
 * The state of one room on a game server: taken up before the room's first player, stored when it has
 * changed, and never by a hook that is waited for in vain. Knows nothing of players.
 */
import { decodeSnapshot, encodeSnapshot } from "../../core/snapshot-value.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { RoomId } from "../../protocol/names.ts";
import { failure, success, type Failure, type Result } from "../../protocol/result.ts";
import { digestOf } from "../../protocol/snapshot.ts";
import { TimedHook } from "../../shard/timed-hook.ts";
import { clock, entropy, WakeTimer } from "../platform.ts";
import type { RoomHandlers } from "./game-room.ts";
import type { RoomSnapshots } from "./room-snapshots.ts";
import type { FailureReason, StateReport } from "./state-reports.ts";

/** A hook is waited for so long. */
const defaultHookMs = 5_000;

const noState = failure("no-state", "the room's handlers have no getSnapshot");

/** What is told of a state that could not be had, by the code of the failure. */
const storeReasons: Readonly<Record<string, FailureReason>> = {
  "hook-threw": "snapshot_threw",
  "hook-late": "snapshot_late",
  "snapshot-impossible": "snapshot_impossible",
  "snapshot-too-large": "snapshot_too_large",
};
/** The same of one that could not be taken up. */
const takeUpReasons: Readonly<Record<string, FailureReason>> = {
  "hook-threw": "restore_threw",
  "hook-late": "restore_late",
  "snapshot-foreign": "snapshot_foreign",
  "snapshot-damaged": "snapshot_damaged",
  "state-failed": "snapshot_damaged",
};
/** What another version of the room may take up, and so is not stored over. */
const mayBeTakenUp = new Set(["hook-threw", "hook-late", "snapshot-foreign"]);
/** The room is another server's by now, and so is its state. */
const hasLeft = new Set(["room-elsewhere", "unknown-room"]);

export type RoomStateOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly handlers: RoomHandlers;
  readonly snapshots: Pick<RoomSnapshots, "read" | "store">;
  /** Tells the registry. */
  readonly report: Pick<StateReport, "failed" | "mended">;
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
  /** The room began without a snapshot that it could not take up, and holds less. */
  #isWithout = false;
  #acting: Promise<Result<null>> = Promise.resolve(success(null));
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
    if (!this.#keepsState) return success(null);
    const taken = await this.#takeUp();
    if (!taken.ok && !this.#isFailure(taken)) return taken;
    this.#isWithout = !taken.ok && mayBeTakenUp.has(taken.code);
    this.#schedule();
    return success(null);
  }

  /** Stores the state as it is now, if it has changed; one attempt at a time. */
  store(): Promise<Result<null>> {
    return this.#inTurn(() => this.#store(false));
  }

  /** The same on demand: whatever the registry has, it has it anew. */
  storeAnew(): Promise<Result<null>> {
    return this.#inTurn(() => (this.#keepsState ? this.#store(true) : noState));
  }

  /** Goes back to the newest snapshot; a room that cannot keeps the state that it has. */
  goBack(): Promise<Result<null>> {
    return this.#inTurn(() => (this.#keepsState ? this.#takeUp() : noState));
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

  /** Hooks of one room do not run beside each other. */
  #inTurn(act: () => Result<null> | Promise<Result<null>>): Promise<Result<null>> {
    this.#acting = this.#acting.then(act).catch((error: unknown) => {
      return failure("state-failed", String(error));
    });
    return this.#acting;
  }

  async #store(isAsked: boolean): Promise<Result<null>> {
    if (this.#isOver && isAsked) return failure("unavailable", "the room is over");
    if (!this.#keepsState || this.#isOver) return success(null);
    if (this.#isWithout && !isAsked) return success(null);
    const { room, type, snapshots, report } = this.#options;
    const encode = (state: unknown): Result<string> => encodeSnapshot(type.name, state);
    const given = await this.#getSnapshot.call(undefined, encode, this.#hookMs);
    const text = given.ok ? given.value : given;
    if (!text.ok) return this.#failed("store", text);
    const digest = await digestOf(text.value);
    if (digest !== this.#stored || isAsked) {
      const stored = await snapshots.store(room, text.value);
      if (!stored.ok) return this.#failed("store", stored);
      this.#stored = digest;
      this.#isWithout = false;
    }
    report.mended();
    return success(null);
  }

  async #takeUp(): Promise<Result<null>> {
    if (this.#isOver) return failure("unavailable", "the room is over");
    const { room, type, snapshots } = this.#options;
    const read = await snapshots.read(room);
    if (!read.ok) return this.#isFailure(read) ? this.#failed("take up", read) : read;
    if (read.value === null) return success(null);
    const { text } = read.value;
    const state = decodeSnapshot(type.name, text);
    if (!state.ok) return this.#failed("take up", state);
    const handed = await this.#onRestore.call(state.value, () => null, this.#hookMs);
    if (!handed.ok) return this.#failed("take up", handed);
    this.#stored = await digestOf(text);
    this.#isWithout = false;
    return success(null);
  }

  /** Whether it is the snapshot, or the room, that is wrong; else the registry could not be asked. */
  #isFailure({ code }: Failure): boolean {
    return code in takeUpReasons;
  }

  #failed(what: "store" | "take up", problem: Failure): Failure {
    const { room, onError, report } = this.#options;
    const { code, detail } = problem;
    // What a hook threw was told as it was thrown.
    if (code !== "hook-threw") {
      onError(new Error(`could not ${what} the state of "${room}": ${detail}`));
    }
    if (what === "take up") report.failed(takeUpReasons[code] ?? "snapshot_damaged", detail);
    else if (!hasLeft.has(code)) report.failed(storeReasons[code] ?? "snapshot_unstored", detail);
    return problem;
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
