/** A running `partykit dev` as a host of the contract suite. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { text as readText } from "node:stream/consumers";
import { WebSocket, type RawData } from "ws";
import type { OutsideAnswer, OutsideRequest, RoomsHost, Upgraded } from "../contract/host.ts";
import { within } from "../support/deadline.ts";
import { RecordedSocket } from "../support/recorded-socket.ts";

/** `port` is asked for with every request, since the server starts after the suite is declared. */
export function partykitHost(
  name: string,
  adminToken: string | undefined,
  port: () => number,
): RoomsHost {
  return {
    name,
    adminToken,
    answersEveryPath: false,
    maxQueryLength: 1024,
    request: (path, request = {}) =>
      within(send(port(), path, request), () => `no answer to ${request.method ?? "GET"} ${path}`),
    upgrade: (path, headers = {}) =>
      within(upgrade(port(), path, headers), () => `no answer to the upgrade at ${path}`),
  };
}

/** By `node:http`, which sends the path and the headers as they are. */
async function send(
  port: number,
  path: string,
  { method = "GET", headers = {}, body }: OutsideRequest,
): Promise<OutsideAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<OutsideAnswer>();
  // Node frames the body of a DELETE only when it is told its length.
  const isWhole = method === "DELETE" && typeof body === "string";
  const length = isWhole ? { "content-length": String(Buffer.byteLength(body)) } : {};
  const all = { ...length, ...headers };
  const options = { host: "127.0.0.1", port, path, method, headers: all, agent: false };
  const outgoing = httpRequest(options, (incoming) => {
    readAnswer(incoming).then(resolve, reject);
  });
  outgoing.on("upgrade", (incoming, socket) => {
    socket.destroy();
    resolve({ status: 101, headers: headersOf(incoming), text: "" });
  });
  // After an early answer the rest of the body meets a closed connection; the answer counts.
  outgoing.on("error", reject);
  if (body === undefined || typeof body === "string" || body instanceof Uint8Array) {
    outgoing.end(body);
  } else {
    for (const piece of body) outgoing.write(piece);
    outgoing.end();
  }
  return promise;
}

async function readAnswer(incoming: IncomingMessage): Promise<OutsideAnswer> {
  const text = await readText(incoming);
  return { status: incoming.statusCode ?? 0, headers: headersOf(incoming), text };
}

function headersOf({ headersDistinct }: IncomingMessage): Headers {
  const headers = new Headers();
  for (const [name, values = []] of Object.entries(headersDistinct)) {
    for (const value of values) headers.append(name, value);
  }
  return headers;
}

async function upgrade(
  port: number,
  path: string,
  headers: Readonly<Record<string, string>>,
): Promise<Upgraded> {
  const { promise, resolve, reject } = Promise.withResolvers<Upgraded>();
  // workerd of July 2024 keeps the connection of a socket that it has closed: patience is short.
  const options = { closeTimeout: 500, perMessageDeflate: false, headers };
  const webSocket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options);
  const socket = new RecordedSocket({
    send: (data) => webSocket.send(data),
    close: () => webSocket.close(1000, "done"),
  });
  // Listening from the start: frames may follow the upgrade at once.
  webSocket.on("message", (data, isBinary) => socket.record(frameOf(data, isBinary)));
  webSocket.on("close", (code, reason) => socket.end({ code, reason: reason.toString("utf8") }));
  webSocket.on("open", () => resolve({ socket, refused: null }));
  webSocket.on("unexpected-response", (_, incoming) => {
    readAnswer(incoming).then((refused) => resolve({ socket: null, refused }), reject);
  });
  webSocket.on("error", reject);
  return promise;
}

function frameOf(data: RawData, isBinary: boolean): string | Uint8Array {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as ArrayBuffer);
  return isBinary ? new Uint8Array(bytes) : bytes.toString("utf8");
}
