/** The registry's client on Node, whose WebSockets can carry the token. */
import {
  RegistryClient as NeutralClient,
  type RegistryClientOptions,
} from "../../../client/registry-client.ts";
import type { OpenWebSocket } from "../../../client/socket-texts.ts";

/** See `partyshard/registry-client`, which is the same without events over WebSocket. */
export class RegistryClient extends NeutralClient {
  constructor(options: RegistryClientOptions) {
    // A `fetch` of the own process has no address that a socket could go to.
    super(options.fetch === undefined ? { openWebSocket, ...options } : options);
  }
}

/** Node's own WebSocket takes headers, which its types do not know (undici 7, Node 24). */
const openWebSocket: OpenWebSocket = (url, headers) => {
  const NodeWebSocket = WebSocket as unknown as new (
    url: string,
    options: { headers: Readonly<Record<string, string>> },
  ) => WebSocket;
  return new NodeWebSocket(url, { headers });
};
