/**
 * The state of a room class with `getSnapshot`: kept a fold of the log, stored now and then, taken and
 * put back on demand. Knows nothing of clients.
 */
import { encodeSnapshot } from "../core/snapshot-value.ts";
import type { Caller, Clock, Entropy } from "../core/ports.ts";
import type { RoomType } from "../core/rooms.ts";
import { fencedFailure, type RequestTo } from "../protocol/calls.ts";
import type { Position } from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import { failure, success, type Failure, type Result } from "../protocol/result.ts";
import type { SnapshotInfo } from "../protocol/snapshot.ts";
import type { FanOut, Folding } from "./fan-out.ts";
import { FoldedLog, hookMs } from "./folded-log.ts";
import type { Intake } from "./intake.ts";
import { SnapshotStore } from "../core/snapshot-store.ts";
import type { StateFailures } from "./state-failures.ts";
import { TimedHook } from "./timed-hook.ts";

/** A room class's hooks for its state. */
export type StateHooks = {
  /** The state: anything that structured clone can carry. May take its time. */
  readonly getSnapshot: () => unknown;
  /** Takes up a state in place of its own. Never with what `getSnapshot` did not return. */
  readonly onRestore: (snapshot: unknown) => unknown;
};

export type StateOwner = {
  readonly shard: ShardId;
  readonly type: RoomType;
  readonly registry: string;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly calls: Caller;
  /** Left out when the room class keeps no state. */
  readonly state?: StateHooks;
  /** False when the class gets its messages as requests, which it has once. */
  readonly canReplay?: boolean;
  readonly fanOut: () => Pick<FanOut, "position" | "refold">;
  readonly intake: () => Pick<Intake, "between">;
  readonly failures: StateFailures;
  /** How many clients the shard has. */
  readonly connections: () => number;
  /** The class failed. */
  readonly onHookError: (error: unknown) => void;
  readonly rearm: () => void;
};

type Taken = { readonly position: Position; readonly text: string };

/** What is counted of a snapshot that came to nothing, beside `snapshot_errors`. */
const kinds: Readonly<Record<string, string>> = {
  "hook-threw": "snapshot_threw",
  "hook-late": "snapshot_late",
  "snapshot-impossible": "snapshot_impossible",
  "snapshot-too-large": "snapshot_too_large",
};
/** However often a snapshot could not be stored, it is tried again after this, or the interval if longer. */
const maxRetryMs = 600_000;
/** Another shard was first, with the same position or a later one. */
const overtaken = new Set(["snapshot-stale", "snapshot-superseded"]);

export class State implements Folding {
  readonly #owner: StateOwner;
  readonly #store: SnapshotStore;
  readonly #getSnapshot: TimedHook;
  readonly #onRestore: TimedHook;
  readonly #log: FoldedLog;
  /** The newest snapshot that this shard knows of. */
  #stored: Position | null = null;
  #nextAt: number | null = null;
  /** `#nextAt` was put off, which a message ends. */
  #isRetry = false;
  /** How often in a row a snapshot could not be stored that was due. */
  #unstored = 0;
  #taking: Promise<Result<SnapshotInfo>> | null = null;
  #isOver = false;

  private constructor(owner: StateOwner, hooks: StateHooks) {
    this.#owner = owner;
    const { shard, registry, calls } = owner;
    const report = { clock: owner.clock, onError: owner.onHookError, rearm: owner.rearm };
    this.#getSnapshot = new TimedHook("getSnapshot", hooks.getSnapshot, report);
    this.#onRestore = new TimedHook("onRestore", hooks.onRestore, report);
    this.#store = new SnapshotStore(roomOfShard(shard), registry, calls);
    this.#log = new FoldedLog({
      ...owner,
      roomType: owner.type.name,
      store: this.#store,
      getSnapshot: this.#getSnapshot,
      onRestore: this.#onRestore,
      onNoSnapshot: (position) => this.#tellSequencer(position, null),
      onSnapshot: (position) => (this.#stored = position),
      position: () => owner.fanOut().position,
      refold: async (batch, after, through) => {
        if (owner.canReplay !== false) await owner.fanOut().refold(batch, after, through);
      },
      onFailed: (kind, failed) => owner.failures.failed(kind, failed),
    });
  }

  /** `null` for a class that keeps none. */
  static of(owner: StateOwner): State | null {
    return owner.state === undefined ? null : new State(owner, owner.state);
  }

  /** Whether the class holds all that the shard's clients were sent. */
  get isCurrent(): boolean {
    return this.#log.isCurrent;
  }

  /** Resolves when it does; false when that cannot be had now. */
  async ready(): Promise<boolean> {
    if (this.#log.isCurrent) return true;
    return this.#log.canBring && this.#owner.intake().between(() => this.#log.bring());
  }

  /** The caller applies a batch, so that no other does meanwhile. */
  prepare(): void | Promise<unknown> {
    if (!this.#log.isCurrent && this.#log.canBring) return this.#log.bring();
  }

  throughOf(epoch: string): number {
    return this.#log.throughOf(epoch);
  }

  handed(epoch: string, from: number, through: number): void {
    this.#log.handed(epoch, from, through);
    if (through === from) return;
    if (this.#isRetry) this.#nextAt = null;
    this.#schedule();
  }

  /**
   * Stores the state as it is now; what another shard stored of the same position will do. Refused while
   * the class goes on without a snapshot that it could not take up, which stays.
   */
  async save(isTimed = false): Promise<Result<SnapshotInfo>> {
    const { unused } = this.#log;
    return unused === null ? this.#takeOnce(isTimed) : failure("state-failed", unused);
  }

  /** The same on demand: what the class holds counts, whatever it could not take up. */
  take(): Promise<Result<SnapshotInfo>> {
    return this.#takeOnce(false);
  }

  /** Goes back to the newest snapshot, and on to where the clients are. */
  restore(): Promise<Result<Position>> {
    return this.#owner.intake().between(async () => {
      const isThere = await this.#log.goBack();
      const { at, lastRestoreError } = this.#log;
      if (!isThere.ok) return isThere;
      if (lastRestoreError !== null) return failure("state-failed", lastRestoreError);
      if (isThere.value && at !== null) return success(at);
      return failure("unavailable", "the snapshot or the log cannot be read at the moment");
    });
  }

  nextDeadlines(): (number | null)[] {
    const now = this.#owner.clock.now();
    return [this.#nextAt, this.#getSnapshot.nextDeadline(now), this.#onRestore.nextDeadline(now)];
  }

  /** The shard is over: nothing is stored any more, and nobody waits for the class but those who do. */
  end(): void {
    this.#isOver = true;
    this.#nextAt = null;
  }

  wake(now: number): void {
    this.#getSnapshot.wake(now);
    this.#onRestore.wake(now);
    if (this.#nextAt === null || this.#nextAt > now) return;
    this.#nextAt = null;
    void this.#takeInTime();
  }

  /** Shards of a room come to it at different moments: the first one's snapshot serves all. */
  #schedule(intervalMs = this.#owner.type.snapshotIntervalMs, isRetry = false): void {
    const { clock, entropy } = this.#owner;
    if (this.#isOver || this.#nextAt !== null || intervalMs === 0) return;
    const inMs = intervalMs * (0.9 + 0.2 * entropy.random());
    // Clocks tell whole milliseconds: a part of one would be waited for again and again.
    this.#nextAt = clock.now() + Math.ceil(inMs);
    this.#isRetry = isRetry;
    this.#owner.rearm();
  }

  async #takeInTime(): Promise<void> {
    const { at, unused } = this.#log;
    if (unused !== null || (at !== null && isAtLeast(this.#stored, at))) return;
    const { clock, type } = this.#owner;
    const newest = await this.#store.newest();
    if (newest.ok && newest.value.position.epoch === at?.epoch) {
      const { takenAt, position } = newest.value;
      this.#stored = position;
      const isRecent = takenAt > clock.now() - type.snapshotIntervalMs / 2;
      if (isRecent || isAtLeast(position, at)) {
        if (!isAtLeast(position, at)) this.#schedule();
        return;
      }
    }
    this.#scheduleAfter(await this.save(true));
  }

  /**
   * A class that failed is asked again when there is something new, or it would keep its shard awake for
   * ever. So would a registry that cannot be reached one that nobody is on: the log keeps what changed.
   */
  #scheduleAfter(taken: Result<SnapshotInfo>): void {
    if (taken.ok) this.#unstored = 0;
    else if (overtaken.has(taken.code)) this.#schedule();
    else if (!(taken.code in kinds) && this.#owner.connections() > 0) {
      const { snapshotIntervalMs } = this.#owner.type;
      const backedOffMs = snapshotIntervalMs * 2 ** Math.min(this.#unstored, 10);
      this.#unstored += 1;
      this.#schedule(Math.min(backedOffMs, Math.max(snapshotIntervalMs, maxRetryMs)), true);
    }
  }

  #takeOnce(isTimed: boolean): Promise<Result<SnapshotInfo>> {
    this.#taking ??= this.#take(isTimed).finally(() => {
      this.#taking = null;
    });
    return this.#taking;
  }

  async #take(isTimed: boolean): Promise<Result<SnapshotInfo>> {
    const taken = await this.#owner.intake().between(() => this.#ask());
    if (!taken.ok) return this.#fail(taken);
    if (this.#isOver) return fencedFailure();
    const { position, text } = taken.value;
    const stored = await this.#store.store(position, text, isTimed);
    if (stored.ok) {
      this.#stored = position;
      this.#log.adopt();
      this.#owner.failures.mended();
      const { takenAt, expiresAt } = stored.value;
      await this.#tellSequencer(position, takenAt, expiresAt);
      return stored;
    }
    if (!overtaken.has(stored.code)) return this.#fail(stored);
    const newest = await this.#store.newest();
    if (!newest.ok || !isAtLeast(newest.value.position, position)) return stored;
    const checked = await this.#log.checkNewest();
    if (!checked.ok) return this.#fail(checked);
    this.#stored = newest.value.position;
    this.#owner.failures.mended();
    return newest;
  }

  /** The class's state and its position, in one turn. */
  async #ask(): Promise<Result<Taken>> {
    await this.#log.bring();
    const position = this.#log.at;
    if (position === null || !this.#log.isCurrent) {
      return failure("unavailable", "the state is not known at the moment");
    }
    const encode = (state: unknown): Result<string> => encodeSnapshot(this.#owner.type.name, state);
    const answer = await this.#getSnapshot.call(undefined, encode, hookMs);
    if (!answer.ok) return answer;
    return answer.value.ok ? success({ position, text: answer.value.value }) : answer.value;
  }

  #fail(problem: Failure): Failure {
    const reason = kinds[problem.code] ?? "snapshot_unstored";
    this.#owner.failures.failed("snapshot_errors", { reason, detail: problem.detail });
    const isOfClass = problem.code in kinds && problem.code !== "hook-threw";
    if (isOfClass) this.#owner.onHookError(new Error(problem.detail));
    return problem;
  }

  /** Has the log kept from here on. */
  async #tellSequencer(
    position: Position,
    takenAt: number | null,
    expiresAt = this.#owner.clock.now() + this.#owner.type.snapshotTtlMs,
  ): Promise<boolean> {
    const to = { role: "sequencer", id: roomOfShard(this.#owner.shard) } as const;
    const request = { type: "snapshotted", position, takenAt, expiresAt } as const;
    return (await this.#owner.calls.call(to, request)).ok;
  }
}

export type StateCall = Extract<RequestTo<"shard">, { type: "takeSnapshot" | "restoreSnapshot" }>;

/** Answers a call about the state of a shard, which may keep none. */
export async function answerStateCall(
  state: State | null,
  { type }: StateCall,
): Promise<Result<SnapshotInfo | Position>> {
  if (state === null) return failure("no-state", "the room class has no getSnapshot");
  return type === "takeSnapshot" ? state.take() : state.restore();
}

function isAtLeast(position: Position | null, other: Position): boolean {
  return position !== null && position.epoch === other.epoch && position.seq >= other.seq;
}
