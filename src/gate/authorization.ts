/** Who may use the admin API: the bearer of the deployment's token, and nobody without one. */
import { refusal, type Refusal } from "./http.ts";

const challenge = { "www-authenticate": 'Bearer realm="partyshard"' };

export async function isAuthorized(
  request: Request,
  token: string | undefined,
): Promise<{ ok: true } | Refusal> {
  if (token === undefined || token === "") {
    const detail = "the admin API is closed: set PARTYSHARD_ADMIN_TOKEN to open it";
    return refusal("unauthorized", detail, challenge);
  }
  const given = /^Bearer (.+)$/i.exec(request.headers.get("authorization") ?? "")?.[1];
  if (given !== undefined && (await isSame(given, token))) return { ok: true };
  return refusal("unauthorized", "send Authorization: Bearer with the admin token", challenge);
}

/** Compares digests, so that the time taken says nothing of where the texts differ. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([digest(one), digest(other)]);
  return first.every((byte, index) => byte === second[index]);
}

async function digest(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}
