import type { ProblemDocument } from "../src/protocol/problems.ts";
import type { Outcome } from "./outbox.ts";

type Code = Exclude<Outcome, { ok: true }>["code"];

/** Why a publish failed. */
export class PublishError extends Error {
  override readonly name = "PublishError";
  /**
   * - `rejected`: the room refused it; `problem` says why. It was not applied.
   * - `unanswered`: no answer within the limit. It may have been applied.
   * - `closed`: the socket was closed, by the application or with a code that means "stop". It may
   *   have been applied if it had left.
   * - `buffer-full`: `maxEnqueuedMessages` or `maxEnqueuedBytes` would be exceeded. It was not sent.
   */
  declare readonly code: Code;
  /** The problem document (RFC 9457) of the room's last answer, when there was one. */
  declare readonly problem: ProblemDocument | undefined;

  constructor(code: Code, problem?: ProblemDocument) {
    super(`${code}: ${problem?.detail ?? "no answer"}`);
    this.code = code;
    this.problem = problem;
  }
}
