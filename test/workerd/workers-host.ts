/** The Worker under test as a host of the contract suite: requests go to its `fetch`. */
import { exports } from "cloudflare:workers";
import type { OutsideAnswer, OutsideRequest, RoomsHost } from "../contract/host.ts";
import { RecordedSocket } from "../support/recorded-socket.ts";

const origin = "http://rooms.test";

export function workersHost(name: string, adminToken: string | undefined): RoomsHost {
  return {
    name,
    adminToken,
    answersEveryPath: true,
    maxQueryLength: 8 * 1024,
    request: async (path, request = {}) => {
      const response = await exports.default.fetch(new Request(origin + path, initOf(request)));
      response.webSocket?.accept();
      response.webSocket?.close();
      return answerOf(response);
    },
    upgrade: async (path, more = {}) => {
      const headers = { ...more, upgrade: "websocket" };
      const response = await exports.default.fetch(origin + path, { headers });
      const { webSocket } = response;
      if (webSocket === null) return { socket: null, refused: await answerOf(response) };
      return { socket: recordSocket(webSocket), refused: null };
    },
  };
}

function initOf({ method = "GET", headers = {}, body }: OutsideRequest): RequestInit {
  if (body === undefined) return { method, headers };
  const isWhole = typeof body === "string" || body instanceof Uint8Array;
  return { method, headers, body: isWhole ? body : streamOf(body) };
}

function streamOf(pieces: readonly Uint8Array<ArrayBuffer>[]): ReadableStream<Uint8Array> {
  let index = 0;
  return new ReadableStream({
    pull(controller) {
      const piece = pieces[index];
      index += 1;
      if (piece === undefined) controller.close();
      else controller.enqueue(piece);
    },
  });
}

async function answerOf(response: Response): Promise<OutsideAnswer> {
  const { status, headers } = response;
  return { status, headers, text: status === 101 ? "" : await response.text() };
}

export function recordSocket(webSocket: WebSocket): RecordedSocket {
  const socket = new RecordedSocket({
    send: (data) => webSocket.send(data),
    close: () => webSocket.close(1000, "done"),
  });
  webSocket.binaryType = "arraybuffer";
  webSocket.addEventListener("message", ({ data }) => {
    socket.record(data instanceof ArrayBuffer ? new Uint8Array(data) : String(data));
  });
  webSocket.addEventListener("close", ({ code, reason }) => socket.end({ code, reason }));
  webSocket.accept();
  return socket;
}
