/** Queries of the registry's lists, and the only parsing of them. */
import { isRoomId } from "../../protocol/names.ts";
import type { RoomQuery, Scalar } from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { refusal, type Refusal } from "../http.ts";

const defaultLimit = 50;
const maxLimit = 200;
/** A server's id, or a room's with the number of a shard. */
const serverCursorPattern = /^[\x21-\x7e]{1,136}$/;
const roomsNames = new Set(["type", "hasSpace", "notLocked", "limit", "cursor"]);
const serversNames = new Set(["kind", "type", "limit", "cursor"]);
const metadataPrefix = "metadata.";
const maxConditions = 16;
const maxConditionLength = 256;

type PageQuery = { readonly limit: number; readonly after: string | null };
export type ListQuery = PageQuery & { readonly roomType: string | null; readonly query: RoomQuery };

export type ServersQuery = PageQuery & {
  readonly kind: "shard" | "server" | null;
  readonly roomType: string | null;
};

/** `type`, `hasSpace`, `notLocked`, `metadata.KEY`, `limit` and `cursor`; anything else is refused. */
export function parseRoomsQuery(search: URLSearchParams): Success<ListQuery> | Refusal {
  const unknown = unknownName(search, (name) => roomsNames.has(name) || isCondition(name));
  if (unknown !== null) return unknown;
  const page = parsePage(search, isRoomId);
  if (!page.ok) return page;
  const hasSpace = parseFlag(search, "hasSpace");
  if (!hasSpace.ok) return hasSpace;
  const notLocked = parseFlag(search, "notLocked");
  if (!notLocked.ok) return notLocked;
  const metadata = parseConditions(search);
  if (!metadata.ok) return metadata;
  const query = { ...hasSpace.value, ...notLocked.value, ...metadata.value };
  return success({ ...page.value, roomType: search.get("type"), query });
}

/** `kind`, `type`, `limit` and `cursor`. */
export function parseServersQuery(search: URLSearchParams): Success<ServersQuery> | Refusal {
  const unknown = unknownName(search, (name) => serversNames.has(name));
  if (unknown !== null) return unknown;
  const page = parsePage(search, (cursor) => serverCursorPattern.test(cursor));
  if (!page.ok) return page;
  const kind = search.get("kind");
  if (kind !== null && kind !== "shard" && kind !== "server") {
    return refusal("malformed-query", "kind must be shard or server");
  }
  return success({ ...page.value, kind, roomType: search.get("type") });
}

function unknownName(search: URLSearchParams, isKnown: (name: string) => boolean): Refusal | null {
  const unknown = [...search.keys()].find((name) => !isKnown(name));
  if (unknown === undefined) return null;
  return refusal("malformed-query", `"${unknown.slice(0, 100)}" is no parameter of this list`);
}

function parsePage(
  search: URLSearchParams,
  isCursor: (text: string) => boolean,
): Success<PageQuery> | Refusal {
  const text = search.get("limit") ?? String(defaultLimit);
  const limit = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (limit < 1 || limit > maxLimit) {
    return refusal("malformed-query", `limit must be a whole number from 1 to ${maxLimit}`);
  }
  const after = search.get("cursor");
  if (after === null || isCursor(after)) return success({ limit, after });
  return refusal("malformed-query", "cursor must be what the page before gave");
}

function parseFlag<Name extends "hasSpace" | "notLocked">(
  search: URLSearchParams,
  name: Name,
): Success<{ readonly [name in Name]?: boolean }> | Refusal {
  const text = search.get(name);
  if (text === null) return success({});
  if (text !== "true" && text !== "false") {
    return refusal("malformed-query", `${name} must be true or false`);
  }
  const flag: { [name in Name]?: boolean } = {};
  flag[name] = text === "true";
  return success(flag);
}

function isCondition(name: string): boolean {
  return name.startsWith(metadataPrefix) && name.length > metadataPrefix.length;
}

function parseConditions(
  search: URLSearchParams,
): Success<{ readonly metadata?: Record<string, Scalar> }> | Refusal {
  const conditions = [...search].filter(([name]) => isCondition(name));
  if (conditions.length === 0) return success({});
  const isTooLong = conditions.some(
    ([name, value]) => name.length > maxConditionLength || value.length > maxConditionLength,
  );
  if (conditions.length > maxConditions || isTooLong) {
    return refusal(
      "malformed-query",
      `metadata is asked for by at most ${maxConditions} keys and values of at most ` +
        `${maxConditionLength} characters`,
    );
  }
  const entries = conditions.map(
    ([name, value]) => [name.slice(metadataPrefix.length), scalarOf(value)] as const,
  );
  return success({ metadata: Object.fromEntries(entries) });
}

/**
 * What a value in a query stands for: a JSON number, `true` and `false` for themselves, text in double
 * quotes for that text (`"5"`), anything else for the text as it is.
 */
function scalarOf(text: string): Scalar {
  if (text === "true" || text === "false") return text === "true";
  if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text)) return Number(text);
  const quoted = /^"(.*)"$/s.exec(text)?.[1];
  return quoted ?? text;
}
