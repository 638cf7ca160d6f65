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
    // Text has its type from `fetch`.
    const type = typeof data === "string" ? {} : { "content-type": "application/octet-stream" };
    const response = await fetcher(await makeUrl(), {
      method: "POST",
      body: data,
      headers: { "idempotency-key": id, ...type },
      signal: AbortSignal.timeout(requestMs),
    });
    const { status, statusText, headers } = response;
    const json: unknown = await response.json().catch(() => null);
    if (response.ok) {
      const { epoch, seq } = isObject(json) ? json : {};
      const isWhole = typeof epoch === "string" && typeof seq === "number";
      return isWhole ? { ok: true, value: { epoch, seq } } : { ok: false };
    }
    const unknown = { type: "about:blank", title: statusText, status, detail: "" };
    // Seconds, or a date (RFC 9110, section 10.2.3).
    const after = headers.get("retry-after") ?? "";
    const retryAfterMs = Number(after) * 1000 || Math.max(0, Date.parse(after) - Date.now()) || 0;
    return { ok: false, problem: isProblem(json) ? json : unknown, retryAfterMs };
  } catch {
    return { ok: false };
  }
}
