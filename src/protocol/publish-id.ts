/**
 * The id of a publish over the socket: a client's own name for it, and its idempotency key. A leaf
 * that also the client library carries.
 *
 * 1 to 255 printable ASCII characters. One that begins with `~` is numbered, `~NAME:NUMBER`: NAME is
 * 1 to 64 of `A–Z a–z 0–9 _ -` that only this client knows, NUMBER counts up from 1 without zeros
 * before it. Of numbered ids the room remembers the last by number; others are the application's own,
 * whatever they look like, and of those it remembers the last by use.
 */

/**
 * Publishes that a client has unanswered at most on its socket, and ids that the room remembers of
 * it. A client sends a publish only when all that are so many or more before it are answered.
 */
export const maxUnanswered = 64;

const idPattern = /^(?:[ -}][ -~]{0,254}|~[\w-]{1,64}:[1-9]\d{0,14})$/;

export function isPublishId(text: string): boolean {
  return idPattern.test(text);
}

/** The parts of a numbered id, or `null` for one that is the application's own. */
export function parseNumberedId(
  id: string,
): { readonly name: string; readonly number: number } | null {
  if (!id.startsWith("~") || !isPublishId(id)) return null;
  const colon = id.indexOf(":");
  return { name: id.slice(1, colon), number: Number(id.slice(colon + 1)) };
}
