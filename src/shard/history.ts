/**
 * The past for clients that come back: makes the recent log reach back to where they were, by reading
 * what is missing from the sequencer once for all of them. Knows nothing of clients.
 */
import type { Caller, Clock } from "../core/ports.ts";
import { parseFrameToShard, type Position } from "../protocol/link.ts";
import { roomOfShard, type ShardId } from "../protocol/names.ts";
import type { LogRange } from "../protocol/calls.ts";
import type { Audience } from "./audience.ts";
import type { FanOut } from "./fan-out.ts";
import type { ShardBatch } from "./messages.ts";

/** How long a client waits for its shard to come to where it was on another one. */
const arrivalMs = 5_000;

/** A reading under way of everything after `from`. */
type Reading = { readonly from: number; readonly done: Promise<boolean> };

type Arrival = { readonly seq: number; readonly until: number; readonly resolve: () => void };

type HistoryPorts = {
  readonly calls: Caller;
  readonly clock: Clock;
  /** The deadline has changed. */
  readonly armWake: () => void;
};

export class History {
  readonly #shard: ShardId;
  readonly #calls: Caller;
  readonly #clock: Clock;
  readonly #audience: Audience;
  readonly #fanOut: FanOut;
  readonly #armWake: () => void;
  #arrivals: Arrival[] = [];
  /** The lowest position that the clients who wait ask for. */
  #wanted = Infinity;
  #reading: Reading | null = null;

  constructor(
    shard: ShardId,
    { calls, clock, armWake }: HistoryPorts,
    audience: Audience,
    fanOut: FanOut,
  ) {
    this.#shard = shard;
    this.#calls = calls;
    this.#clock = clock;
    this.#audience = audience;
    this.#fanOut = fanOut;
    this.#armWake = armWake;
  }

  /** Whether a client that was at `position` can be given what follows, from the recent log. */
  holds(position: Position): boolean {
    const here = this.#fanOut.position;
    if (here === null || here.epoch !== position.epoch) return false;
    return position.seq <= here.seq && this.#audience.recent.since(position.seq) !== null;
  }

  /**
   * Resolves once everything was done for `holds(position)`; false when the sequencer did not
   * answer, so that nobody knows whether it could be. What was found or read is kept until
   * `welcomed(position)`.
   */
  async reach(position: Position): Promise<boolean> {
    const here = this.#fanOut.position;
    if (here === null || here.epoch !== position.epoch) return true;
    const { holds } = this.#audience;
    const now = this.#clock.now();
    // History is bounded by age too, and nothing may have come for long.
    this.#audience.trim(now);
    const hold = holds.take(position.seq);
    let isDone = false;
    try {
      isDone = await this.#gather(position, here, now);
    } finally {
      if (isDone) holds.ready(hold, this.#clock.now());
      else holds.drop(hold);
    }
    return isDone;
  }

  /** A client that came back to `position` is in, and its needs are known by what it was sent. */
  welcomed(position: Position): void {
    this.#audience.holds.welcomed(position.seq);
  }

  async #gather(position: Position, here: Position, now: number): Promise<boolean> {
    if (this.holds(position)) return true;
    if (position.seq <= here.seq) return this.#extend(position.seq);
    const range = await this.#read(position);
    if (range === null) return false;
    if (range.epoch === position.epoch && position.seq <= range.through) {
      await this.#arrive(position.seq, now);
    }
    return true;
  }

  /** The shard has come to here. */
  arrived(seq: number): void {
    if (this.#arrivals.length > 0) this.#resolve((arrival) => arrival.seq <= seq);
  }

  expire(now: number): void {
    if (this.#arrivals.length > 0) this.#resolve((arrival) => arrival.until <= now);
  }

  nextDeadline(): number | null {
    const times = this.#arrivals.map((arrival) => arrival.until);
    return times.length === 0 ? null : Math.min(...times);
  }

  #arrive(seq: number, now: number): Promise<void> {
    if ((this.#fanOut.position?.seq ?? 0) >= seq) return Promise.resolve();
    return new Promise((resolve) => {
      this.#arrivals.push({ seq, until: now + arrivalMs, resolve });
      this.#armWake();
    });
  }

  #resolve(isOver: (arrival: Arrival) => boolean): void {
    this.#arrivals = this.#arrivals.filter((arrival) => {
      if (!isOver(arrival)) return true;
      arrival.resolve();
      return false;
    });
  }

  /** One reading at a time; who asks for more than it brings waits for the next. */
  async #extend(seq: number): Promise<boolean> {
    while (this.#audience.recent.start > seq) {
      const reading = this.#reading ?? this.#startReading(Math.min(this.#wanted, seq));
      // What the log cannot give back now it cannot later.
      if (reading.from <= seq) return reading.done;
      this.#wanted = Math.min(this.#wanted, seq);
      if (!(await reading.done)) return false;
    }
    return true;
  }

  #startReading(from: number): Reading {
    this.#wanted = Infinity;
    const done = this.#readBack(from).finally(() => {
      this.#reading = null;
    });
    this.#reading = { from, done };
    return this.#reading;
  }

  async #readBack(seq: number): Promise<boolean> {
    const { recent } = this.#audience;
    const position = this.#fanOut.position;
    if (position === null) return true;
    const range = await this.#read({ epoch: position.epoch, seq });
    if (range === null) return false;
    if (range.epoch !== this.#fanOut.position?.epoch) return true;
    const before = recent.start;
    const older: ShardBatch[] = [];
    for (const text of range.frames) {
      const frame = parseFrameToShard(text);
      if (!frame.ok || frame.value.type !== "batch" || frame.value.after >= before) continue;
      older.push(...(await this.#fanOut.replay(frame.value, before)));
    }
    // The room class may have taken its time, and the room begun another life.
    if (range.epoch !== this.#fanOut.position?.epoch) return true;
    const newer = recent.since(before);
    const isJoined = older.at(-1)?.through === before && newer !== null;
    if (isJoined) recent.restore([...older, ...newer], recent.head);
    return true;
  }

  async #read(position: Position): Promise<LogRange | null> {
    const sequencer = { role: "sequencer", id: roomOfShard(this.#shard) } as const;
    const result = await this.#calls.call(sequencer, { type: "read", position });
    return result.ok ? result.value : null;
  }
}
