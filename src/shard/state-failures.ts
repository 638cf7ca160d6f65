/**
 * What went wrong with the state of a room class: counted, told with the shard's load until a snapshot
 * is stored again, and told to the registry once, with the shard's next report. Knows nothing of
 * snapshots.
 */
import type { SnapshotFailure } from "../protocol/registry.ts";

/** An error's text may be anything; in UTF-16 units. */
const maxDetailUnits = 500;

export type StateFailuresOwner = {
  readonly count: (what: string) => void;
  /** There is something to report. */
  readonly onFailed: () => void;
};

export class StateFailures {
  readonly #owner: StateFailuresOwner;
  /** The last one of each reason, so that they stay few however often they come. */
  readonly #untold = new Map<string, SnapshotFailure>();
  #last: string | null = null;

  constructor(owner: StateFailuresOwner) {
    this.#owner = owner;
  }

  /** What went wrong last, until it was mended. */
  get load(): { readonly stateError?: string } {
    return this.#last === null ? {} : { stateError: this.#last };
  }

  /** `kind` is counted beside the reason. */
  failed(kind: string, failure: SnapshotFailure): void {
    const { reason } = failure;
    const detail = failure.detail.slice(0, maxDetailUnits);
    this.#owner.count(kind);
    this.#owner.count(reason);
    this.#last = detail;
    this.#untold.set(reason, { reason, detail });
    this.#owner.onFailed();
  }

  /** A snapshot has been stored. What has not been told is told all the same. */
  mended(): void {
    this.#last = null;
  }

  /** Whether there is nothing to tell. */
  get isEmpty(): boolean {
    return this.#untold.size === 0;
  }

  /** What has come since the last time, for the registry. */
  take(): SnapshotFailure[] {
    const failures = [...this.#untold.values()];
    this.#untold.clear();
    return failures;
  }

  /** The registry has not heard them. */
  giveBack(failures: readonly SnapshotFailure[]): void {
    for (const failure of failures) {
      if (!this.#untold.has(failure.reason)) this.#untold.set(failure.reason, failure);
    }
  }
}
