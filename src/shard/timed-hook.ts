/**
 * A hook of the room class that is waited for, but not for ever. A failure is a value. Knows nothing
 * of what the hook does.
 */
import type { Clock } from "../core/ports.ts";
import { failure, success, type Result } from "../protocol/result.ts";

export type HookFailure = "hook-threw" | "hook-late";

export type TimedHookOwner = {
  readonly clock: Clock;
  /** The hook threw this. */
  readonly onError: (error: unknown) => void;
  /** A deadline may have changed. */
  readonly rearm: () => void;
};

export class TimedHook {
  readonly #name: string;
  readonly #hook: (argument: unknown) => unknown;
  readonly #owner: TimedHookOwner;
  #running: { readonly until: number; readonly expire: () => void } | null = null;

  constructor(name: string, hook: (argument: unknown) => unknown, owner: TimedHookOwner) {
    this.#name = name;
    this.#hook = hook;
    this.#owner = owner;
  }

  /**
   * What `take` makes of the hook's answer, in the turn in which it comes. A hook that still owes the
   * answer to an earlier call is not called again.
   */
  async call<Value>(
    argument: unknown,
    take: (answer: unknown) => Value,
    ms: number,
  ): Promise<Result<Value, HookFailure>> {
    if (this.#running !== null) return this.#late("still owes the answer to an earlier call");
    let answer: unknown;
    try {
      answer = this.#hook(argument);
      if (!(answer instanceof Promise)) return success(take(answer));
    } catch (error) {
      return this.#threw(error);
    }
    const expired = Promise.withResolvers<Result<Value, HookFailure>>();
    const until = this.#owner.clock.now() + ms;
    const running = {
      until,
      expire: () => expired.resolve(this.#late(`did not answer within ${ms} ms`)),
    };
    this.#running = running;
    this.#owner.rearm();
    const settled = answer
      .then((value): Result<Value, HookFailure> => success(take(value)))
      .catch((error: unknown) => this.#threw(error))
      .finally(() => {
        this.#running = null;
      });
    return Promise.race([settled, expired.promise]);
  }

  /** `null` also while an answer is late: nobody waits for it any more. */
  nextDeadline(now: number): number | null {
    const until = this.#running?.until ?? 0;
    return until > now ? until : null;
  }

  wake(now: number): void {
    if (this.#running !== null && this.#running.until <= now) this.#running.expire();
  }

  #threw(error: unknown): Result<never, HookFailure> {
    this.#owner.onError(error);
    return failure("hook-threw", `${this.#name} threw: ${String(error)}`);
  }

  #late(what: string): Result<never, HookFailure> {
    return failure("hook-late", `${this.#name} ${what}`);
  }
}
