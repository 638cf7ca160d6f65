/**
 * What a game server has to say to the registry of its rooms' states: what went wrong, and how what it
 * was asked to do ended. What did not arrive waits until the registry is heard of again. Knows nothing
 * of hooks, or of when states are stored.
 */
import type { RegistryProblem } from "../../../client/registry-client.ts";
import type { RoomId } from "../../protocol/names.ts";
import type { BodyInput } from "../../protocol/registry.ts";
import type { Result } from "../../protocol/result.ts";
import type { Tenancy } from "./room-snapshots.ts";

type Said = Extract<BodyInput<"transferSnapshot">, { type: "state" }>;
type Done = NonNullable<Said["done"]>;
type Failed = Said["failures"][number];
export type FailureReason = Failed["reason"];
type News = Pick<Said, "failures" | "error" | "done">;

/** An error's text may be anything; in UTF-16 units. */
const maxDetailUnits = 500;

export class StateReports {
  readonly #options: Tenancy;
  /** Those that have something to say. */
  readonly #due = new Map<StateReport, RoomId>();
  #sending: Promise<void> | null = null;

  constructor(options: Tenancy) {
    this.#options = options;
  }

  /** For one life of a room. */
  of(room: RoomId): StateReport {
    return new StateReport((report) => {
      this.#due.set(report, room);
      this.flush();
    });
  }

  /** The registry can be reached: what waits is said. */
  flush(): void {
    this.#sending ??= this.#send().finally(() => {
      this.#sending = null;
    });
  }

  /** Resolves when what could be said has been. */
  async settled(): Promise<void> {
    await this.#sending;
  }

  /** The rooms are another's by now. */
  clear(): void {
    this.#due.clear();
  }

  /** One after the other: a registry that has come back is not asked for all at once. */
  async #send(): Promise<void> {
    for (const [report, room] of this.#due) {
      this.#due.delete(report);
      if (!(await this.#say(room, report))) return;
    }
  }

  /** Whether the registry was reached. */
  async #say(room: RoomId, report: StateReport): Promise<boolean> {
    const { client, serverId, instance } = this.#options;
    const from = { serverId, instance: instance() };
    const said = report.take();
    if (said === null) return true;
    const told = await client.transferSnapshot(room, { type: "state", ...from, ...said });
    if (!told.ok && mayPass(told.problem)) {
      if (from.instance === instance()) report.giveBack(said);
      return false;
    }
    if (report.hasMore) this.#due.set(report, room);
    return true;
  }
}

export class StateReport {
  readonly #onNews: (report: StateReport) => void;
  /** The last one of each reason, so that they stay few however often they come. */
  readonly #failures = new Map<FailureReason, Failed>();
  readonly #done: Done[] = [];
  /** What is wrong, until it was mended. */
  #error: string | null = null;
  /** What the registry takes for wrong, if that is known. */
  #told: string | null | undefined = null;

  constructor(onNews: (report: StateReport) => void) {
    this.#onNews = onNews;
  }

  failed(reason: FailureReason, text: string): void {
    const detail = text.slice(0, maxDetailUnits);
    this.#failures.set(reason, { reason, detail });
    this.#error = detail;
    this.#onNews(this);
  }

  /** The registry has the state as it is. */
  mended(): void {
    this.#error = null;
    if (this.hasMore) this.#onNews(this);
  }

  /** What the registry asked for has ended. */
  done(order: string, result: Result<unknown>): void {
    if (result.ok) this.#done.push({ order });
    else {
      const { code, detail } = result;
      this.#done.push({ order, problem: { code, detail: detail.slice(0, maxDetailUnits) } });
    }
    this.#onNews(this);
  }

  get hasMore(): boolean {
    return this.#failures.size > 0 || this.#done.length > 0 || this.#error !== this.#told;
  }

  take(): News | null {
    if (!this.hasMore) return null;
    const failures = [...this.#failures.values()];
    this.#failures.clear();
    this.#told = this.#error;
    const done = this.#done.shift();
    return { failures, error: this.#error, ...(done === undefined ? {} : { done }) };
  }

  /** It may have been heard or not. */
  giveBack({ failures, done }: News): void {
    for (const failed of failures) {
      if (!this.#failures.has(failed.reason)) this.#failures.set(failed.reason, failed);
    }
    if (done !== undefined) this.#done.unshift(done);
    this.#told = undefined;
    this.#onNews(this);
  }
}

/** What was refused for good would be refused again. */
function mayPass({ status }: RegistryProblem): boolean {
  return status >= 500 || status === 429;
}
