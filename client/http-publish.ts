/** One publish as one POST to the room's router. Tries once; the connection decides on retries. */
import type { Answer } from "./outbox.ts";
import { isObject, isProblem } from "./server-frame.ts";

export type Post = {
  readonly makeUrl: () => Promise<string>;
  /** The `Idempotency-Key`. */
  readonly id: string;
  readonly data: string | Uint8Array<ArrayBuffer>;
};

/** After so long a request counts as failed; the router gives up earlier. */
const requestMs = 15_000;

/** Never rejects: what did not come back is an answer without a problem. */
export async function postOnce(
  fetcher: typeof fetch,
  { makeUrl, id, data }: Post,
): Promise<Answer> {
  try {
    const isText = typeof data === "string";
    const response = await fetcher(await makeUrl(), {
      method: "POST",
      body: data,
      headers: {
        "content-type": isText ? "text/plain;charset=utf-8" : "application/octet-stream",
        "idempotency-key": id,
      },
      signal: AbortSignal.timeout(requestMs),
    });
    return await read(response);
  } catch {
    return { ok: false };
  }
}

async function read(response: Response): Promise<Answer> {
  const { ok, status, statusText, headers } = response;
  const json: unknown = await response.json().catch(() => null);
  if (ok) {
    const { epoch, seq } = isObject(json) ? json : {};
    if (typeof epoch !== "string" || typeof seq !== "number") return { ok: false };
    return { ok: true, value: { epoch, seq } };
  }
  const otherwise = { type: "about:blank", title: statusText, detail: `HTTP status ${status}` };
  const problem = { ...(isProblem(json) ? json : otherwise), status };
  // Seconds, or a date (RFC 9110, section 10.2.3).
  const after = headers.get("retry-after") ?? "";
  const retryAfterMs = Number(after) * 1000 || Date.parse(after) - Date.now();
  return { ok: false, problem, retryAfterMs: Math.max(0, retryAfterMs || 0) };
}
