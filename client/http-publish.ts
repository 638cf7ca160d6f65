/** One publish as one POST to the room's router. Tries once; the connection decides on retries. */
import type { Answer } from "./outbox.ts";
import { isPosition, isProblem } from "./server-frame.ts";

export type Post = {
  readonly url: Promise<string>;
  /** The `Idempotency-Key`. */
  readonly id: string;
  readonly data: string | Uint8Array<ArrayBuffer>;
};

/** After so long a request counts as failed; the router gives up earlier. */
const requestMs = 15_000;

/** Never rejects: what did not come back is an answer without a problem. */
export async function postOnce(fetcher: typeof fetch, { url, id, data }: Post): Promise<Answer> {
  try {
    const type = "application/octet-stream";
    const response = await fetcher(await url, {
      method: "POST",
      // Either has its content type from `fetch`.
      body: typeof data === "string" ? data : new Blob([data], { type }),
      headers: { "idempotency-key": id },
      signal: AbortSignal.timeout(requestMs),
    });
    const json: unknown = await response.json().catch(() => null);
    if (response.ok) {
      if (!isPosition(json)) return { ok: false };
      return { ok: true, value: { epoch: json.epoch, seq: json.seq } };
    }
    // Seconds, or a date (RFC 9110, section 10.2.3).
    const after = response.headers.get("retry-after") ?? "";
    const retryAfterMs = Math.max(0, Number(after) * 1000 || Date.parse(after) - Date.now() || 0);
    const problem = isProblem(json)
      ? json
      : { type: "about:blank", title: response.statusText, status: response.status, detail: "" };
    return { ok: false, problem, retryAfterMs };
  } catch {
    return { ok: false };
  }
}
