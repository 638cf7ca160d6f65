/**
 * The room class's state as a fold of the room's log: brings it to where the shard's clients are, from
 * the newest snapshot and what the log holds after it. Owns how far the class has come. Knows nothing
 * of sockets, nor of when a snapshot is taken.
 */
import { decodeSnapshot, encodeSnapshot } from "../core/snapshot-value.ts";
import type { Caller, Clock } from "../core/ports.ts";
import { parseFrameToShard, type BatchFrame, type Position } from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import { success, type Failure, type Result } from "../protocol/result.ts";
import type { LogRange } from "../protocol/calls.ts";
import type { SnapshotFailure } from "../protocol/registry.ts";
import type { SnapshotStore } from "../core/snapshot-store.ts";
import type { TimedHook } from "./timed-hook.ts";

/** How long a hook is waited for. */
export const hookMs = 5_000;
/** The first question holds up the first client. */
const initialMs = 1_000;
/** After the registry or the sequencer could not be reached. */
const retryMs = 5_000;
/** The position may move while the state is on its way. */
const rounds = 5;

/** Why what a snapshot says cannot be known at the moment. */
const passing = new Set(["unreachable", "overloaded", "unavailable", "snapshot-superseded"]);

export type FoldedLogOwner = {
  readonly shard: ShardId;
  readonly roomType: string;
  readonly clock: Clock;
  readonly calls: Caller;
  readonly store: SnapshotStore;
  readonly getSnapshot: TimedHook;
  readonly onRestore: TimedHook;
  /** Where the shard's clients are. */
  readonly position: () => Position | null;
  /** Hands the class the batch's messages after `after` and up to `through`, and sends nobody anything. */
  readonly refold: (batch: BatchFrame, after: number, through: number) => Promise<void>;
  /** Nothing of the log is in a snapshot yet: all of it is needed. Whether the sequencer has heard. */
  readonly onNoSnapshot: (position: Position) => Promise<boolean>;
  readonly onSnapshot: (position: Position) => void;
  readonly onFailed: (kind: "state_lost" | "restore_errors", failure: SnapshotFailure) => void;
};

type Snapshot = { readonly position: Position; readonly state: unknown };

export class FoldedLog {
  readonly #owner: FoldedLogOwner;
  /** What the class has been handed; `null` while that is nothing, or not a run of the log. */
  #at: Position | null = null;
  /** The class may hold something that is not its first state. */
  #isUsed = false;
  /** The class's first state as text; `null` when it did not tell. */
  #initial: string | null | undefined;
  #retryAt = 0;
  /** The newest snapshot was of no use when it was read last. */
  #isUnreadable = false;
  #lastRestoreError: string | null = null;
  #unused: string | null = null;

  constructor(owner: FoldedLogOwner) {
    this.#owner = owner;
  }

  get at(): Position | null {
    return this.#at;
  }

  /** Whether the class holds all that the shard's clients were sent. */
  get isCurrent(): boolean {
    const position = this.#owner.position();
    return position === null || this.#holds(position);
  }

  /** Whether it is of use to wait for `bring`. */
  get canBring(): boolean {
    return this.#retryAt <= this.#owner.clock.now();
  }

  /** The class has these messages in its state already, if it is in this life of the room. */
  throughOf(epoch: string): number {
    return this.#at?.epoch === epoch ? this.#at.seq : 0;
  }

  /** The class was handed what comes after `from`. */
  handed(epoch: string, from: number, through: number): void {
    this.#isUsed = true;
    if (this.#at === null) return;
    const follows = this.#at.epoch === epoch && this.#at.seq >= from;
    this.#at = follows ? { epoch, seq: Math.max(this.#at.seq, through) } : null;
  }

  /**
   * Nothing that the class holds counts any more: it is brought to where the clients are by the newest
   * snapshot and the log. A snapshot that cannot be taken up changes nothing. The caller sees to it
   * that no batch is applied meanwhile.
   */
  async goBack(): Promise<Result<boolean>> {
    const snapshot = await this.#readSnapshot();
    if (!snapshot.ok) {
      if (isUnreadable(snapshot.code)) this.#lost(snapshot);
      return snapshot;
    }
    this.#at = null;
    // A class that has not told its first state yet is still to be asked.
    if (this.#initial !== undefined) this.#isUsed = true;
    this.#retryAt = 0;
    this.#lastRestoreError = null;
    const to = this.#owner.position();
    if (to !== null) await this.#begin(to, snapshot);
    return success(await this.bring());
  }

  /**
   * Brings the class to where the clients are; no batch may be applied meanwhile. False when that
   * cannot be known now: the class goes on without, and is brought there later.
   */
  async bring(): Promise<boolean> {
    // Who asks meanwhile must not put off the next attempt.
    if (!this.canBring) return this.isCurrent;
    for (let round = 0; round < rounds && this.canBring; round += 1) {
      const to = this.#owner.position();
      if (to === null || this.#holds(to)) return true;
      if (!(await this.#reach(to))) break;
    }
    if (this.isCurrent) return true;
    this.#retryAt = this.#owner.clock.now() + retryMs;
    return false;
  }

  /** Whether the newest snapshot can be taken up, as far as this is in doubt. */
  async checkNewest(): Promise<Result<unknown>> {
    return this.#isUnreadable ? this.#readSnapshot() : success(null);
  }

  /** What went wrong when the class was last given a state, if anything did. */
  get lastRestoreError(): string | null {
    return this.#lastRestoreError;
  }

  /**
   * Why the class goes on without a snapshot that another version of it may take up: what it holds is
   * less, and must not take that one's place of itself.
   */
  get unused(): string | null {
    return this.#unused;
  }

  /** What the class holds is to count from now on. */
  adopt(): void {
    this.#unused = null;
  }

  #holds({ epoch, seq }: Position): boolean {
    return this.#at !== null && this.#at.epoch === epoch && this.#at.seq >= seq;
  }

  async #reach(to: Position): Promise<boolean> {
    if (this.#at?.epoch === to.epoch) {
      const end = await this.#replay(to, false);
      if (end !== "gap") return end === "there";
    }
    return this.#begin(to);
  }

  /** From the newest snapshot, or from the beginning of the room's life. */
  async #begin(to: Position, known?: Result<Snapshot>): Promise<boolean> {
    await this.#keepInitial();
    for (let acceptsGap = false, read = known; ; read = undefined) {
      const snapshot = read ?? (await this.#readSnapshot());
      if (!snapshot.ok && passing.has(snapshot.code)) return false;
      const own = this.#at?.epoch === to.epoch ? this.#at.seq : -1;
      const isLost = !snapshot.ok && isUnreadable(snapshot.code);
      if (snapshot.ok && isAfter(snapshot.value.position, { epoch: to.epoch, seq: own })) {
        const { position, state } = snapshot.value;
        await this.#give(state);
        this.#unused = this.#lastRestoreError;
        this.#at = position;
        this.#owner.onSnapshot(position);
      } else if (own < 0) {
        this.#unused =
          !snapshot.ok && snapshot.code === "snapshot-foreign" ? snapshot.detail : null;
        // Else the log may lose what no snapshot holds.
        if (!isLost && !(await this.#owner.onNoSnapshot({ epoch: to.epoch, seq: 0 }))) return false;
        if (!(await this.#beginAnew(to))) return true;
      } else acceptsGap = true;
      if (isLost) this.#lost(snapshot);
      const end = await this.#replay(to, acceptsGap || isLost, isLost);
      // Another shard has stored a snapshot since, and the log let go of what is in that.
      if (end !== "gap") return end === "there";
    }
  }

  /** The class as it was at first, which is where a room's life begins. */
  async #beginAnew(to: Position): Promise<boolean> {
    if (this.#isUsed) {
      const initial = typeof this.#initial === "string" ? this.#decode(this.#initial) : null;
      if (initial?.ok !== true) {
        const detail = "the class did not tell its first state";
        this.#owner.onFailed("state_lost", { reason: "first_state_unknown", detail });
        this.#at = to;
        return false;
      }
      await this.#give(initial.value);
    }
    this.#at = { epoch: to.epoch, seq: 0 };
    return true;
  }

  /** Hands the class what the log holds up to `to`; `gap` when it no longer holds what is next. */
  async #replay(
    to: Position,
    acceptsGap: boolean,
    isToldOfLoss = false,
  ): Promise<"there" | "gap" | "unknown"> {
    let isTold = isToldOfLoss;
    for (;;) {
      const at = this.#at;
      if (at === null || at.epoch !== to.epoch) return "unknown";
      if (at.seq >= to.seq) return "there";
      const range = await this.#readLog(at);
      if (range === null || range.epoch !== to.epoch) return "unknown";
      if (range.after > at.seq) {
        if (!acceptsGap) return "gap";
        const detail = "the log no longer holds what is next";
        if (!isTold) this.#owner.onFailed("state_lost", { reason: "log_trimmed", detail });
        isTold = true;
        this.#at = { epoch: to.epoch, seq: Math.min(range.after, to.seq) };
      }
      await this.#refold(range, to);
      // Nothing to go on with: the room may have begun another life.
      if ((this.#at?.seq ?? 0) <= at.seq) return "unknown";
    }
  }

  async #refold(range: LogRange, to: Position): Promise<void> {
    for (const text of range.frames) {
      const frame = parseFrameToShard(text);
      const { seq } = this.#at ?? to;
      if (!frame.ok || frame.value.type !== "batch" || seq >= to.seq) continue;
      const batch = frame.value;
      if (batch.through <= seq) continue;
      const through = Math.min(batch.through, to.seq);
      this.#isUsed = true;
      await this.#owner.refold(batch, seq, through);
      this.#at = { epoch: to.epoch, seq: through };
    }
  }

  #decode(text: string): Result<unknown> {
    return decodeSnapshot(this.#owner.roomType, text);
  }

  async #readSnapshot(): Promise<Result<Snapshot>> {
    const read = await this.#owner.store.read();
    const decoded = read.ok ? this.#decode(read.value.text) : read;
    this.#isUnreadable = !decoded.ok && isUnreadable(decoded.code);
    if (!read.ok) return read;
    const { position } = read.value.info;
    return decoded.ok ? success({ position, state: decoded.value }) : decoded;
  }

  #lost({ code, detail }: Failure): void {
    this.#owner.onFailed("state_lost", { reason: code.replaceAll("-", "_"), detail });
  }

  async #give(state: unknown): Promise<void> {
    this.#isUsed = true;
    const given = await this.#owner.onRestore.call(state, () => null, hookMs);
    this.#lastRestoreError = given.ok ? null : given.detail;
    if (given.ok) return;
    const reason = given.code === "hook-late" ? "restore_late" : "restore_threw";
    this.#owner.onFailed("restore_errors", { reason, detail: given.detail });
  }

  async #keepInitial(): Promise<void> {
    if (this.#initial !== undefined) return;
    this.#initial = null;
    if (this.#isUsed) return;
    const encode = (state: unknown): Result<string> => encodeSnapshot(this.#owner.roomType, state);
    const told = await this.#owner.getSnapshot.call(undefined, encode, initialMs);
    if (told.ok && told.value.ok) this.#initial = told.value.value;
  }

  async #readLog(position: Position): Promise<LogRange | null> {
    const sequencer = { role: "sequencer", id: roomOfShard(this.#owner.shard) } as const;
    const request = { type: "read", position, isForState: true } as const;
    const result = await this.#owner.calls.call(sequencer, request);
    return result.ok ? result.value : null;
  }
}

/** There is a snapshot, and it is of no use. */
function isUnreadable(code: string): boolean {
  return code !== "not-found" && !passing.has(code);
}

function isAfter(position: Position, { epoch, seq }: Position): boolean {
  return position.epoch === epoch && position.seq > seq;
}
