/** Routes of the registry's API: their form, how a path finds one, and what a handler is given. */
import type { Rooms } from "../../core/rooms.ts";
import { parseBody, type BodyName, type BodyOf } from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { readJson } from "../body.ts";
import { refusal, type Refusal } from "../http.ts";
import type { GatePorts } from "../ports.ts";

/** A request that has found its route and may come in. */
export type Ask = {
  readonly request: Request;
  readonly url: URL;
  /** The variable part of the path, decoded; empty where there is none. */
  readonly name: string;
  readonly rooms: Rooms;
  readonly ports: GatePorts;
  /** Has the registry know what this gate has counted. */
  readonly reportCounters: () => Promise<void>;
};

type Answer = Promise<Response | Refusal>;
type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
/** Who may come in: the bearer of the admin token, everybody where the deployment says so, everybody. */
type Access = "admin" | "matchmaking" | "public";

export type Route = {
  readonly method: Method;
  /** Segments below the registry; `:` stands for the variable one. */
  readonly path: string;
  readonly access: Access;
  readonly handle: (ask: Ask) => Answer;
};

const maxBodyBytes = 64 * 1024;

export function route(
  method: Method,
  path: string,
  access: Access,
  handle: (ask: Ask) => Answer,
): Route {
  return { method, path, access, handle };
}

/** A route whose body is read, within its limit, and parsed before anything is done. */
export function routeWithBody<Name extends BodyName>(
  method: Method,
  path: string,
  access: Access,
  body: Name,
  handle: (ask: Ask, body: BodyOf<Name>) => Answer,
  maxBytes = maxBodyBytes,
): Route {
  return {
    method,
    path,
    access,
    handle: async (ask) => {
      const parsed = await readBody(ask.request, body, maxBytes);
      return parsed.ok ? handle(ask, parsed.value) : parsed;
    },
  };
}

async function readBody<Name extends BodyName>(
  request: Request,
  name: Name,
  maxBytes: number,
): Promise<Success<BodyOf<Name>> | Refusal> {
  const json = await readJson(request, maxBytes);
  if (!json.ok) return json;
  const parsed = parseBody(name, json.value);
  return parsed.ok ? success(parsed.value) : refusal("malformed-body", parsed.detail);
}

export type Found = { readonly routes: readonly Route[]; readonly name: string };

/** The routes of a path, which differ in their methods; none when there is nothing at the path. */
export function findRoutes(routes: readonly Route[], path: string): Found {
  const segments = path.split("/");
  const found = routes.filter((each) => matches(each.path.split("/"), segments));
  const variable = found[0]?.path.split("/").indexOf(":") ?? -1;
  const name = decode(segments[variable] ?? "");
  return name === null ? { routes: [], name: "" } : { routes: found, name };
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.length !== segments.length) return false;
  return pattern.every((each, index) => each === ":" || each === segments[index]);
}

/** Names in paths may be percent-encoded, as `encodeURIComponent` writes them. */
function decode(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    return null;
  }
}
