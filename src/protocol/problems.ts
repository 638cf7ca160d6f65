/**
 * The table of problems: every refusal that a caller can see, as an RFC 9457 problem document with
 * a stable `type`. Knows nothing of HTTP beyond the status number.
 */
const problemTable = {
  "malformed-name": [400, "The room id is malformed"],
  "malformed-query": [400, "A query parameter is malformed"],
  "malformed-header": [400, "A header is malformed"],
  "malformed-body": [400, "The body is malformed"],
  "ticket-invalid": [401, "The ticket is not valid here"],
  unauthorized: [401, "A valid token is required"],
  forbidden: [403, "Not reachable from outside"],
  "room-locked": [403, "The room is locked"],
  "ticket-expired": [403, "The seat was not taken in time, or its grace is over"],
  "ticket-used": [403, "The ticket was used by another connection"],
  "publish-not-allowed": [403, "Clients may not publish over the socket here"],
  "not-found": [404, "There is nothing at this address"],
  "unknown-room-type": [404, "The deployment has no such room type"],
  "unknown-room": [404, "The directory has no such room"],
  "no-snapshot": [404, "The room has no snapshot"],
  "unknown-server": [404, "No such server is registered"],
  "method-not-allowed": [405, "The method is not allowed here"],
  "room-exists": [409, "The room exists already"],
  "server-exists": [409, "Another process is registered as this server"],
  "room-empty": [409, "No shard of the room has clients"],
  "no-state": [409, "The room class keeps no state"],
  "snapshot-stale": [409, "Another snapshot of the room is being stored"],
  "snapshot-superseded": [409, "Another snapshot of the room has taken its place"],
  "lock-held": [409, "Another owner has the lock"],
  "lock-lost": [409, "The lock is not held with this token"],
  "payload-too-large": [413, "The body is too large"],
  "snapshot-too-large": [413, "The state is too large for a snapshot"],
  "uri-too-long": [414, "The address is too long"],
  "room-elsewhere": [421, "The room is on a server outside"],
  "idempotency-key-reused": [422, "The idempotency key was used for another message"],
  "headers-too-large": [431, "The headers are too large"],
  "state-failed": [500, "The room class failed to give or take its state"],
  "not-configured": [501, "The deployment is not configured for this"],
  "no-server": [503, "No server has space for a room of this type"],
  "room-full": [503, "Every shard of the room is full"],
  overloaded: [503, "The room takes no more writes at the moment"],
  unavailable: [503, "The room cannot be reached at the moment"],
} as const satisfies Record<string, readonly [status: number, title: string]>;

export type ProblemCode = keyof typeof problemTable;

/** RFC 9457 document. `type` is `urn:partyshard:problem:` and the code. */
export type ProblemDocument = {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
};

export function problemDocument(code: ProblemCode, detail: string): ProblemDocument {
  const [status, title] = problemTable[code];
  return { type: `urn:partyshard:problem:${code}`, title, status, detail };
}

export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problemTable, code);
}
