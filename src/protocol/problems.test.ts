import { expect, test } from "vitest";
import { isProblemCode, problemDocument, type ProblemCode } from "./problems.ts";

/** Codes and statuses as clients know them: a change here is a change of the protocol. */
const statuses: Record<ProblemCode, number> = {
  "malformed-name": 400,
  "malformed-query": 400,
  "malformed-header": 400,
  "malformed-body": 400,
  "ticket-invalid": 401,
  unauthorized: 401,
  forbidden: 403,
  "room-locked": 403,
  "ticket-expired": 403,
  "ticket-used": 403,
  "publish-not-allowed": 403,
  "not-found": 404,
  "unknown-room-type": 404,
  "unknown-room": 404,
  "no-snapshot": 404,
  "unknown-server": 404,
  "method-not-allowed": 405,
  "room-exists": 409,
  "server-exists": 409,
  "room-empty": 409,
  "no-state": 409,
  "snapshot-stale": 409,
  "snapshot-superseded": 409,
  "lock-held": 409,
  "lock-lost": 409,
  "payload-too-large": 413,
  "snapshot-too-large": 413,
  "uri-too-long": 414,
  "room-elsewhere": 421,
  "idempotency-key-reused": 422,
  "headers-too-large": 431,
  "state-failed": 500,
  "not-configured": 501,
  "no-server": 503,
  "room-full": 503,
  overloaded: 503,
  unavailable: 503,
};
const codes = Object.keys(statuses).filter(isProblemCode);

test.each(codes)("HT7 %s is a problem document with a stable type and status", (code) => {
  const { title, ...others } = problemDocument(code, "why");
  const type = `urn:partyshard:problem:${code}`;
  expect(others).toEqual({ type, status: statuses[code], detail: "why" });
  expect(title).toMatch(/^\S.{5,}[^.]$/);
});

test("HT7 no two problems share a type or a title", () => {
  const documents = codes.map((code) => problemDocument(code, ""));
  expect(codes).toHaveLength(37);
  expect(new Set(documents.map(({ type }) => type)).size).toBe(codes.length);
  expect(new Set(documents.map(({ title }) => title)).size).toBe(codes.length);
});

test.each(["", "full", "unreachable", "toString", "__proto__", "constructor"])(
  "HT7 %j is no problem's code",
  (code) => {
    expect(isProblemCode(code)).toBe(false);
  },
);
