/** What a client asks for in the query of its upgrade, and the only parsing of it. */
import { isTopicFilter, maxTopics, protocolVersion } from "./client.ts";
import type { Position } from "./link.ts";
import { failure, success, type Result } from "./result.ts";

export type ClientRequest = {
  /** Speaks protocol 1; else a plain socket that gets payloads. */
  readonly speaksProtocol: boolean;
  /** Where the client was, when it comes back. */
  readonly resume: Position | null;
  readonly topics: readonly string[];
  /** The secret of the seat that the client had. */
  readonly session?: string;
};

/** Printable ASCII without spaces. */
const sessionPattern = /^[\x21-\x7e]{1,64}$/;

export function parseClientRequest(
  query: URLSearchParams,
): Result<ClientRequest, "malformed-query"> {
  const protocol = query.get("protocol");
  if (protocol !== null && protocol !== String(protocolVersion)) {
    return failure("malformed-query", `protocol must be ${protocolVersion} or left out`);
  }
  if (query.has("topic")) {
    return failure("malformed-query", "a socket has topics: topic is for a message");
  }
  const topics = parseTopics(query.get("topics"));
  if (!topics.ok) return topics;
  const session = query.get("session");
  if (session !== null && !sessionPattern.test(session)) {
    return failure("malformed-query", "session must be 1 to 64 printable ASCII characters");
  }
  const asked = { topics: topics.value, ...(session === null ? {} : { session }) };
  if (protocol === null) return success({ speaksProtocol: false, resume: null, ...asked });
  const resume = parsePosition(query.get("epoch"), query.get("since"));
  if (!resume.ok) return resume;
  return success({ speaksProtocol: true, resume: resume.value, ...asked });
}

/** `null` when neither is given; both belong together. */
export function parsePosition(
  epoch: string | null,
  since: string | null,
): Result<Position | null, "malformed-query"> {
  if (epoch === null && since === null) return success(null);
  if (epoch === null || epoch === "" || epoch.length > 64) {
    return failure("malformed-query", "epoch must be 1 to 64 characters, and goes with since");
  }
  const seq = since !== null && /^\d{1,15}$/.test(since) ? Number(since) : null;
  if (seq === null) {
    return failure("malformed-query", "since must be a whole number from 0, and goes with epoch");
  }
  return success({ epoch, seq });
}

function parseTopics(text: string | null): Result<readonly string[], "malformed-query"> {
  if (text === null || text === "") return success([]);
  const topics = text.split(",");
  if (topics.length > maxTopics) {
    return failure("malformed-query", `topics must not be more than ${maxTopics}`);
  }
  const impossible = topics.find((topic) => !isTopicFilter(topic));
  if (impossible === undefined) return success(topics);
  return failure(
    "malformed-query",
    `"${impossible.slice(0, 140)}" is no topic: use 1 to 128 printable ASCII characters without , and *, ` +
      "a prefix that ends in :*, or *",
  );
}
