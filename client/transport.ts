/**
 * The sockets under a `RoomSocket`, one `PartySocket` for each connection: where they go and with
 * what query. `PartySocket`'s own reconnecting is off; the connection's state machine decides.
 */
import { PartySocket, type PartySocketOptions } from "partysocket";

type Query = Readonly<Record<string, string | null | undefined>>;

/** Not connected: it knows the room's address, and the id that every connection bears. */
export function addressOf(options: PartySocketOptions): PartySocket {
  return new PartySocket({ ...options, party: options.party ?? "router", startClosed: true });
}

export function ownQuery({ query }: PartySocketOptions): Query | Promise<Query> {
  return (typeof query === "function" ? query() : query) ?? {};
}

/** Connects at once. `moved` is a full address in place of the room's; its own query stays. */
export function openSocket(
  options: PartySocketOptions,
  id: string,
  moved: string | null,
  query: Query,
): PartySocket {
  const url = moved === null ? null : new URL(moved);
  return new PartySocket({
    ...(url === null ? options : addressed(options, url)),
    id,
    party: options.party ?? "router",
    query: async () => ({
      ...(await ownQuery(options)),
      ...(url === null ? {} : Object.fromEntries(url.searchParams)),
      ...query,
    }),
    startClosed: false,
    maxRetries: 0,
    shouldReconnectOnClose: () => false,
  });
}

function addressed(options: PartySocketOptions, url: URL): PartySocketOptions {
  const isSecure = url.protocol === "wss:" || url.protocol === "https:";
  const protocol = isSecure ? "wss" : "ws";
  return { ...options, protocol, host: url.host, basePath: url.pathname.slice(1), path: "" };
}

/** Where a message is published, by HTTP. */
export function publishUrl(roomUrl: string, query: Query): string {
  const url = new URL(roomUrl.replace(/^ws/, "http"));
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}
