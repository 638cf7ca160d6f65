/**
 * What every call of the registry's client gives: a value, or a problem (RFC 9457). Knows nothing of
 * what was asked.
 */
import { problemDocument, type ProblemDocument } from "../src/protocol/problems.ts";
import { isObject, isProblem } from "./server-frame.ts";

export type RegistryProblem = ProblemDocument;

export type RegistryResult<Value> =
  | { readonly ok: true; readonly value: Value }
  | { readonly ok: false; readonly problem: RegistryProblem };

/** The type of a problem with this code, to compare `problem.type` with. */
export function problemType(code: string): string {
  return `urn:partyshard:problem:${code}`;
}

/** The registry gave no answer, or none that can be understood. */
export function unavailable(detail: string): { ok: false; problem: RegistryProblem } {
  return { ok: false, problem: problemDocument("unavailable", detail) };
}

/** What a response says. Never rejects. */
export async function readResponse<Value>(
  response: Response,
  isValue: (value: unknown) => value is Value,
): Promise<RegistryResult<Value>> {
  const { status } = response;
  let json: unknown = null;
  try {
    const text = await response.text();
    json = text === "" ? null : JSON.parse(text);
  } catch {
    return unavailable(`the registry answered ${status} with what is not JSON`);
  }
  if (!response.ok) {
    return isProblem(json)
      ? { ok: false, problem: json }
      : unavailable(`the registry answered ${status} without a problem document`);
  }
  return isValue(json)
    ? { ok: true, value: json }
    : unavailable(`the registry answered ${status} with what is not of its protocol`);
}

type Kind = "string" | "number" | "boolean" | "object";

/** A guard for answers: an object that has these fields. */
export function answerWith<Value>(fields: { readonly [Field in keyof Value]?: Kind }): (
  value: unknown,
) => value is Value {
  const checks = Object.entries<Kind | undefined>(fields);
  return (value): value is Value =>
    isObject(value) &&
    checks.every(([name, kind]) => typeof value[name] === kind && value[name] !== null);
}

/** For answers without a body. */
export function isAnything(value: unknown): value is unknown {
  return value !== undefined;
}
