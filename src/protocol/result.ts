/**
 * Results as values. Roles, parsers and calls between objects return these; an exception does not
 * survive a call between Durable Objects with its class, name or code intact.
 */
export type Failure<Code extends string = string> = {
  readonly ok: false;
  readonly code: Code;
  /** A sentence for people: what was wrong and what is allowed. */
  readonly detail: string;
  /** When trying again may help, in ms from now; left out where nobody can tell. */
  readonly retryAfterMs?: number;
};

export type Success<Value> = { readonly ok: true; readonly value: Value };

export type Result<Value, Code extends string = string> = Success<Value> | Failure<Code>;

export function success<Value>(value: Value): Success<Value> {
  return { ok: true, value };
}

export function failure<const Code extends string>(code: Code, detail: string): Failure<Code> {
  return { ok: false, code, detail };
}
