/** Locks over HTTP. Who has the token has the lock. */
import { partitionOf } from "../../core/partitions.ts";
import { isRegistryId, parseBody, type BodyOf } from "../../protocol/registry.ts";
import { success, type Success } from "../../protocol/result.ts";
import { readJson } from "../body.ts";
import { emptyResponse, jsonResponse, refusal, type Refusal } from "../http.ts";
import { askPartition } from "./partitions.ts";
import type { Ask } from "./route.ts";

/** `{"token":9007199254740991}` with room for spaces. */
const maxReleaseBytes = 1_024;

export async function acquireLock(
  ask: Ask,
  { ttlMs }: BodyOf<"acquireLock">,
): Promise<Response | Refusal> {
  const partition = partitionOfKey(ask);
  if (!partition.ok) return partition;
  const request = { type: "lock", key: ask.name, ttlMs } as const;
  const answer = await askPartition(ask.ports, partition.value, request);
  return answer.ok ? jsonResponse(answer.value) : answer;
}

export async function extendLock(
  ask: Ask,
  { token, ttlMs }: BodyOf<"extendLock">,
): Promise<Response | Refusal> {
  const partition = partitionOfKey(ask);
  if (!partition.ok) return partition;
  const request = { type: "extend", key: ask.name, token, ttlMs } as const;
  const answer = await askPartition(ask.ports, partition.value, request);
  return answer.ok ? jsonResponse(answer.value) : answer;
}

export async function releaseLock(ask: Ask): Promise<Response | Refusal> {
  const partition = partitionOfKey(ask);
  if (!partition.ok) return partition;
  const token = await readToken(ask);
  if (!token.ok) return token;
  const request = { type: "release", key: ask.name, token: token.value } as const;
  const answer = await askPartition(ask.ports, partition.value, request);
  return answer.ok ? emptyResponse() : answer;
}

function partitionOfKey({ name, rooms }: Ask): Success<string> | Refusal {
  if (isRegistryId(name)) return success(partitionOf(name, rooms.deployment.partitions));
  const rule = "1 to 128 printable ASCII characters without spaces";
  return refusal("malformed-name", `a lock's key is ${rule}`);
}

/** From the query, since not everything on the way lets a DELETE have a body; else from the body. */
async function readToken({ request, url }: Ask): Promise<Success<number> | Refusal> {
  const given = url.searchParams.get("token");
  if (given !== null) {
    const parsed = parseBody("releaseLock", {
      token: /^\d{1,16}$/.test(given) ? Number(given) : 0,
    });
    if (parsed.ok) return success(parsed.value.token);
    return refusal("malformed-query", "token must be the number that the lock was given with");
  }
  const json = await readJson(request, maxReleaseBytes);
  if (!json.ok) return json;
  const parsed = parseBody("releaseLock", json.value);
  return parsed.ok ? success(parsed.value.token) : refusal("malformed-body", parsed.detail);
}
