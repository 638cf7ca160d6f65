/** What the test app checks for itself before the router: rooms of the type `members` take members. */

/** A request as either platform gives it. */
type Asked = { readonly url: string; readonly headers: { get(name: string): string | null } };

/** Who is no member is answered with a 401 of the app's own. */
export function refuseStranger({ url, headers }: Asked): Response | null {
  const { pathname, searchParams } = new URL(url);
  if (!decoded(pathname).startsWith("/parties/router/members:")) return null;
  // A browser's WebSocket has no headers of its own.
  const token = headers.get("authorization")?.slice("Bearer ".length) ?? searchParams.get("token");
  return token === "a member's" ? null : new Response("members only", { status: 401 });
}

/** One that cannot be decoded names no room, as the router says. */
function decoded(pathname: string): string {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return "";
  }
}
