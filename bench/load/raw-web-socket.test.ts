import { createHash } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, expect, test } from "vitest";
import { RawWebSocket } from "./raw-web-socket.ts";

let server: Server | undefined;

afterEach(() => server?.close());

interface Received {
  readonly messages: string[];
  readonly strays: string[];
}

/** A server that answers the handshake and then hands the connection over. */
async function serve(serveSocket: (socket: Socket, head: string) => unknown): Promise<number> {
  server = createServer((socket) => {
    socket.once("data", (head) => void serveSocket(socket, head.toString("latin1")));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address: AddressInfo | string | null = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}

function accepting(head: string): Buffer {
  const key = /sec-websocket-key: (\S+)/iu.exec(head)?.[1] ?? "";
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);
  return Buffer.from(
    `HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: ${accept.digest("base64")}\r\n\r\n`,
  );
}

function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const { length } = payload;
  const header =
    length < 126
      ? Buffer.from([0x81, length])
      : length < 65_536
        ? Buffer.from([0x81, 126, length >> 8, length & 255])
        : Buffer.from([0x81, 127, 0, 0, 0, 0, 0, length >> 16, (length >> 8) & 255, length & 255]);
  return Buffer.concat([header, payload]);
}

function open(port: number): { readonly client: RawWebSocket; readonly received: Received } {
  const received: Received = { messages: [], strays: [] };
  const client = new RawWebSocket({
    port,
    path: "/",
    index: 7,
    sink: {
      handleMessage: (_, bytes, start, end) => {
        received.messages.push(Buffer.from(bytes.subarray(start, end)).toString());
      },
      handleStray: (_, reason) => {
        received.strays.push(reason);
      },
    },
  });
  return { client, received };
}

test("frames of all lengths arrive whole, however the stream is cut", async () => {
  const messages = ["a", "b".repeat(125), "c".repeat(126), "d".repeat(70_000), "", "e".repeat(100)];
  for (const pieceBytes of [1, 3, 7, 1_000, 100_000]) {
    const port = await serve(async (socket, head) => {
      const stream = Buffer.concat([accepting(head), ...messages.map(textFrame)]);
      // Whole at first, so that one piece a byte does not take 70,000 writes.
      const cut = pieceBytes < 1_000 ? 700 : stream.length;
      for (let at = 0; at < cut; at += pieceBytes) {
        socket.write(stream.subarray(at, Math.min(cut, at + pieceBytes)));
        await new Promise((resolve) => setImmediate(resolve));
      }
      socket.write(stream.subarray(cut));
      socket.once("data", () => socket.end());
    });
    const { client, received } = open(port);
    await client.opened();
    await expect.poll(() => received.messages.length).toBe(messages.length);
    expect(received.messages).toEqual(messages);
    await client.close();
    expect(received.strays).toEqual([]);
    server?.close();
  }
});

test("a refused handshake rejects with the answer", async () => {
  const port = await serve((socket) => {
    socket.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n");
  });
  await expect(open(port).client.opened()).rejects.toThrow("503");
});

test("a server that closes unasked leaves a stray", async () => {
  const port = await serve((socket, head) => {
    socket.write(accepting(head));
    socket.end(Buffer.from([0x88, 2, 0x03, 0xf3]));
  });
  const { client, received } = open(port);
  await client.opened();
  await expect.poll(() => received.strays).toEqual(["the server closed with 1011"]);
  await client.close();
});
