/**
 * The sockets and addresses under a `RoomSocket`. Every connection is a socket of its own, made by
 * `partysocket` with its reconnecting turned off; the connection's state machine decides.
 */
import { PartySocket, WebSocket as ReconnectingSocket, type PartySocketOptions } from "partysocket";

export type Query = Readonly<Record<string, string | null | undefined>>;

export type { Socket };

/** Not connected: it knows the room's address, and an id that no other has. */
export function addressOf(options: PartySocketOptions): PartySocket {
  const { party = "router" } = options;
  return new PartySocket({ ...options, party, id: "", startClosed: true });
}

/**
 * The address with the application's own query and `more`. What is named twice is as `more` says it,
 * which leaves out what is `null` there, else as the address does.
 */
export async function addQuery(
  address: string,
  { query }: PartySocketOptions,
  more: Query,
): Promise<string> {
  const url = new URL(address);
  const own = typeof query === "function" ? await query() : query;
  const said = Object.fromEntries(url.searchParams);
  url.search = "";
  for (const [name, value] of Object.entries({ ...own, ...said, ...more })) {
    if (value !== null && value !== undefined) url.searchParams.set(name, value);
  }
  return url.href;
}

class Socket extends ReconnectingSocket {
  /**
   * Called with each event before partysocket copies it: workerd makes no `MessageEvent` with the
   * `source` of `null` that its own ones have (2026-11).
   */
  override onmessage = (event: MessageEvent): void => {
    Object.defineProperty(event, "source", { value: undefined });
  };
}

/** Connects at once, and once. */
export function openSocket(address: string, options: PartySocketOptions, more: Query): Socket {
  return new Socket(() => addQuery(address, options, more), options.protocols, {
    ...options,
    startClosed: false,
    maxRetries: 0,
  });
}
