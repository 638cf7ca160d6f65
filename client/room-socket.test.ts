import { afterEach, expect, test, vi } from "vitest";
import { once } from "node:events";
import { WebSocketServer } from "ws";
import { encodeServerFrame, parseClientFrame, type ServerFrame } from "../src/protocol/client.ts";
import { parseNumberedId } from "../src/protocol/publish-id.ts";
import { PublishError, RoomSocket, type RoomSocketOptions } from "./room-socket.ts";
import { FakeNetwork } from "../test/support/fake-web-socket.ts";

const sockets: RoomSocket[] = [];
const quick = { minReconnectionDelay: 1, maxReconnectionDelay: 1 };

function open(options: Partial<RoomSocketOptions> = {}): {
  socket: RoomSocket;
  network: FakeNetwork;
} {
  const network = new FakeNetwork();
  const { WebSocket } = network;
  const address = { host: "localhost:1999", room: "lobby" };
  const socket = new RoomSocket({ ...address, ...quick, WebSocket, ...options });
  sockets.push(socket);
  return { socket, network };
}

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.close();
  vi.useRealTimers();
});

/** What happens to a socket, as text, in order. */
function record(socket: RoomSocket): unknown[] {
  const events: unknown[] = [];
  socket.addEventListener("open", () => events.push("open"));
  socket.addEventListener("message", ({ data }) => events.push(["message", data]));
  socket.addEventListener("local", ({ data }) => events.push(["local", data]));
  socket.addEventListener("close", ({ code, reason }) => events.push(["close", code, reason]));
  socket.addEventListener("error", ({ message }) => events.push(["error", message]));
  socket.addEventListener("recovered", ({ detail }) => events.push(["recovered", detail]));
  socket.addEventListener("reset", ({ detail }) => events.push(["reset", detail]));
  socket.addEventListener("statuschange", () => events.push(socket.status));
  return events;
}

function messages(after: number, ...data: readonly string[]): ServerFrame {
  return { type: "messages", after, through: after + data.length, data: [...data] };
}

test("CL14 a socket connects as PartySocket does, to the party router, by protocol 1", async () => {
  const { socket, network } = open({ id: "me", query: { token: "t", none: null }, topics: ["a"] });
  const peer = await network.next();
  expect(peer.url.split("?")[0]).toBe("ws://localhost:1999/parties/router/lobby");
  expect(peer.query).toEqual({ _pk: "me", token: "t", protocol: "1", topics: "a" });
  expect(socket).toMatchObject({ id: "me", room: "lobby", host: "localhost:1999", name: "router" });
  expect(socket.roomUrl).toBe("ws://localhost:1999/parties/router/lobby");
});

test("CL14 options of the address are PartySocket's", async () => {
  const { network } = open({ host: "example.com", party: "other", path: "a/b", prefix: "p" });
  expect((await network.next()).url.split("?")[0]).toBe("wss://example.com/p/other/lobby/a/b");
});

test("CL14 open comes with the welcome, and with it the connection, the shard and the position", async () => {
  const { socket, network } = open();
  const events = record(socket);
  const handled: string[] = [];
  const handle = ({ type }: Event): void => void handled.push(type);
  Object.assign(socket, { onopen: handle, onmessage: handle, onclose: handle, onerror: handle });
  const peer = await network.next();
  expect(socket.readyState).toBe(RoomSocket.CONNECTING);
  peer.accept();
  expect([socket.readyState, socket.connection, socket.position]).toEqual([0, null, null]);
  peer.welcome();
  expect(socket.readyState).toBe(socket.OPEN);
  expect(socket).toMatchObject({ connection: "c", shard: "room-1", url: peer.url });
  expect(socket.position).toEqual({ epoch: "e", seq: 5 });
  peer.say(messages(5, "six"));
  peer.drop(1006);
  expect(events.slice(1)).toEqual([
    "open",
    "open",
    ["message", "six"],
    ["close", 1006, "lost"],
    "waiting",
  ]);
  expect(handled).toEqual(["open", "message", "close"]);
  expect(socket).toMatchObject({ readyState: 3, connection: null, retryCount: 1 });
});

test("CL2, CL14 after a break the socket resumes, or says that it cannot", async () => {
  const { socket, network } = open();
  const first = await network.next();
  first.welcome();
  first.say(messages(5, "six"));
  const events = record(socket);
  first.drop(4000, "moved");
  const second = await network.next();
  expect(second.query).toMatchObject({ epoch: "e", since: "6" });
  second.welcome({ seq: 6, recovered: true });
  second.say(messages(5, "six", "seven"));
  second.drop(1006);
  const third = await network.next();
  expect(third.query).toMatchObject({ since: "7" });
  third.welcome({ epoch: "f", seq: 1 });
  const position = { epoch: "f", seq: 1 };
  expect(events.filter((event) => Array.isArray(event))).toEqual([
    ["close", 4000, "moved"],
    ["recovered", { position: { epoch: "e", seq: 6 } }],
    ["message", "seven"],
    ["close", 1006, "lost"],
    ["reset", { previous: { epoch: "e", seq: 7 }, position, reason: "not-recovered" }],
  ]);
});

test("CL16 within a message event the position is that of the message", async () => {
  const { socket, network } = open();
  const peer = await network.next();
  peer.welcome();
  const seen: unknown[] = [];
  socket.addEventListener("message", ({ data }) => seen.push([data, socket.position?.seq]));
  peer.say({ type: "messages", after: 5, through: 20, data: ["a", "b"], seq: [7, 9] });
  expect(seen).toEqual([
    ["a", 7],
    ["b", 9],
  ]);
  expect(socket.position?.seq).toBe(20);
});

test("CL3, CL16 a handler that closes the socket loses nothing of the frame under way", async () => {
  const { socket, network } = open();
  const peer = await network.next();
  peer.welcome();
  const events = record(socket);
  socket.addEventListener("message", () => socket.close());
  peer.say(messages(5, "six", "seven"));
  expect(events).toEqual([
    ["message", "six"],
    ["message", "seven"],
    ["close", 1000, ""],
    "stopped",
  ]);
  socket.reconnect();
  expect((await network.next()).query).toMatchObject({ since: "7" });
});

test("CL15 local messages come as message and as local; bytes come as binaryType says", async () => {
  const { socket, network } = open();
  const peer = await network.next();
  peer.welcome();
  const events = record(socket);
  peer.say({ type: "local", data: "only here" });
  expect(events).toEqual([
    ["message", "only here"],
    ["local", "only here"],
  ]);
  peer.say({ type: "volatile", data: [{ base64: "AQID" }] });
  expect(events.at(-1)).toEqual(["message", new Uint8Array([1, 2, 3]).buffer]);
  socket.binaryType = "blob";
  peer.say({ type: "volatile", data: [{ base64: "AQID" }] });
  const [, blob] = events.at(-1) as [string, Blob];
  expect([...new Uint8Array(await blob.arrayBuffer())]).toEqual([1, 2, 3]);
});

test("CL14 send goes to the room class; before the welcome it waits", async () => {
  const { socket, network } = open();
  expect(socket.send("early")).toBe(false);
  const peer = await network.next();
  peer.welcome();
  expect(socket.send(new Uint8Array([1, 2, 3]))).toBe(true);
  expect(peer.frames).toEqual([
    { type: "send", data: "early" },
    { type: "send", data: { base64: "AQID" } },
  ]);
});

test("CL7, CL14 close ends the socket, and publishes with it; reconnect begins again", async () => {
  const { socket, network } = open({ publish: "socket" });
  const peer = await network.next();
  peer.welcome();
  const events = record(socket);
  const published = socket.publish("x");
  socket.close(3001, "bye");
  expect(peer.closedWith).toEqual({ code: 3001, reason: "bye" });
  expect(events).toEqual([["close", 3001, "bye"], "stopped"]);
  await expect(published).rejects.toMatchObject({ name: "PublishError", code: "closed" });
  await expect(socket.publish("y")).rejects.toMatchObject({ code: "closed" });
  // A socket that was given up says nothing any more.
  peer.say(messages(5, "six"));
  peer.drop(1006);
  expect(events).toHaveLength(2);
  socket.reconnect();
  (await network.next()).welcome();
  expect(socket.readyState).toBe(1);
});

test("CL7, CL14 reconnect while open leaves the one connection for another, at once", async () => {
  const { socket, network } = open();
  const first = await network.next();
  first.welcome();
  const events = record(socket);
  socket.reconnect(3000, "again");
  expect(events).toEqual([["close", 3000, "again"], "connecting"]);
  const second = await network.next();
  expect(first.closedWith).toEqual({ code: 3000, reason: "again" });
  second.welcome({ recovered: true });
  expect(socket).toMatchObject({ status: "open", retryCount: 0 });
  expect(network.sockets).toHaveLength(2);
});

test("CL7 a code of 4500 or more stops the socket, and so does shouldReconnectOnClose", async () => {
  const { socket, network } = open({ shouldReconnectOnClose: ({ code }) => code !== 4001 });
  const peer = await network.next();
  peer.welcome();
  peer.drop(4500, "not of the protocol");
  expect(socket.status).toBe("stopped");
  socket.reconnect();
  const next = await network.next();
  next.welcome();
  const events = record(socket);
  next.drop(4001);
  expect(events).toEqual([["close", 4001, "lost"], "stopped"]);
});

test("CL14 startClosed waits for reconnect", async () => {
  const { socket, network } = open({ startClosed: true });
  expect(socket).toMatchObject({ status: "idle", readyState: 3, url: "" });
  socket.reconnect();
  await network.next();
  expect(socket.status).toBe("connecting");
});

test("CL14 a socket needs a room", () => {
  expect(() => new RoomSocket({ host: "localhost" })).toThrow("no room");
});

test("CL14 a query that fails is an error and a failed connection, and is asked again", async () => {
  vi.useFakeTimers();
  let asked = 0;
  const { socket, network } = open({
    query: async () => {
      asked += 1;
      if (asked === 1) throw new Error("no token");
      return { token: String(asked) };
    },
  });
  const events = record(socket);
  await vi.advanceTimersByTimeAsync(9_000);
  const peer = await network.next();
  expect(peer.query).toMatchObject({ token: "2" });
  expect(events).toEqual([["error", "no token"], ["close", 1006, ""], "waiting", "connecting"]);
  expect(asked).toBe(2);
});

test("CL8 a redirect leads to its address, with its query and the socket's own", async () => {
  const { socket, network } = open({ id: "me", query: { token: "t" } });
  const peer = await network.next();
  peer.welcome();
  peer.say({ type: "redirect", url: "wss://other.example/parties/router/lobby?ticket=x" });
  const next = await network.next();
  expect(next.url.split("?")[0]).toBe("wss://other.example/parties/router/lobby");
  const place = { epoch: "e", since: "5" };
  expect(next.query).toEqual({ ticket: "x", _pk: "me", token: "t", protocol: "1", ...place });
  next.welcome({ recovered: true });
  expect(socket.status).toBe("open");
});

test("CL8, CL18 what a redirect's address says of the query holds against the application's own", async () => {
  const { network } = open({ id: "me", query: { ticket: "old", token: "t" } });
  const peer = await network.next();
  expect(peer.query).toEqual({ _pk: "me", ticket: "old", token: "t", protocol: "1" });
  peer.accept();
  peer.say({ type: "redirect", url: "ws://127.0.0.1:9/game?ticket=new&since=1" });
  const moved = await network.next();
  expect(moved.query).toEqual({ _pk: "me", ticket: "new", token: "t", protocol: "1" });
  moved.welcome({ session: "s" });
  moved.drop(1006);
  const back = { _pk: "me", ticket: "new", session: "s", token: "t", protocol: "1" };
  expect((await network.next()).query).toEqual({ ...back, epoch: "e", since: "5" });
});

test("CL8 a redirect to what is no address is a failed connection", async () => {
  const { network } = open();
  (await network.next()).accept();
  network.sockets[0]?.say({ type: "redirect", url: "nowhere" });
  const peer = await network.next();
  expect(peer.url).toContain("ws://localhost:1999/parties/router/lobby");
});

test("CL4 a frame that is none ends the connection, and the socket comes back", async () => {
  const { socket, network } = open();
  const peer = await network.next();
  peer.welcome();
  const events = record(socket);
  peer.dispatchEvent(new MessageEvent("message", { data: "{" }));
  expect(peer.closedWith).toEqual({ code: 1000, reason: "unexpected data" });
  expect(events).toEqual([["close", 1000, "unexpected data"], "waiting"]);
  await network.next();
});

test("CL5 a connection that says nothing is pinged, and left when it does not answer", async () => {
  vi.useFakeTimers();
  const { socket, network } = open();
  const opening = network.next();
  await vi.advanceTimersByTimeAsync(10);
  const peer = await opening;
  peer.welcome();
  await vi.advanceTimersByTimeAsync(30_000);
  // The first said that the client is there.
  expect(peer.sent).toEqual(["ping", "ping"]);
  peer.dispatchEvent(new MessageEvent("message", { data: "pong" }));
  await vi.advanceTimersByTimeAsync(30_000);
  expect(peer.sent).toEqual(["ping", "ping", "ping"]);
  await vi.advanceTimersByTimeAsync(9_999);
  expect(socket.status).toBe("open");
  await vi.advanceTimersByTimeAsync(1);
  expect(peer.closedWith).toEqual({ code: 1000, reason: "no pong" });
  await vi.advanceTimersByTimeAsync(100);
  expect(network.sockets).toHaveLength(2);
});

test("CL5 a clock that is set back stops nothing", async () => {
  vi.useFakeTimers({ now: 10_000_000 });
  const { network } = open();
  const opening = network.next();
  await vi.advanceTimersByTimeAsync(10);
  const peer = await opening;
  peer.welcome();
  vi.setSystemTime(1_000_000);
  await vi.advanceTimersByTimeAsync(60_000);
  expect(peer.sent).toEqual(["ping", "ping"]);
});

test("CL14 a closed socket leaves no timer behind", async () => {
  vi.useFakeTimers();
  const { socket, network } = open();
  const opening = network.next();
  await vi.advanceTimersByTimeAsync(10);
  (await opening).welcome();
  socket.close();
  expect(vi.getTimerCount()).toBe(0);
});

test("CL10 over the socket a publish resolves with its place, or rejects with the problem", async () => {
  const { socket, network } = open({ publish: "socket" });
  const peer = await network.next();
  peer.welcome();
  const first = socket.publish("x", { topic: "scores", id: "mine" });
  const second = socket.publish(new Uint8Array([1, 2, 3]).buffer);
  const [, frame] = peer.frames;
  expect(peer.frames[0]).toEqual({ type: "publish", id: "mine", data: "x", topic: "scores" });
  expect(frame).toMatchObject({ type: "publish", data: { base64: "AQID" } });
  peer.say({ type: "published", id: "mine", epoch: "e", seq: 6 });
  await expect(first).resolves.toEqual({ epoch: "e", seq: 6 });
  const id = frame?.type === "publish" ? frame.id : "";
  const problem = { type: "urn:x", title: "No", status: 403, detail: "not allowed here" };
  peer.say({ type: "rejected", id, problem });
  const error: unknown = await second.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(PublishError);
  expect(error).toMatchObject({ code: "rejected", problem, message: "rejected: not allowed here" });
});

test("CL10 ids of different sockets and publishes differ, and may be given once at a time", async () => {
  const { socket, network } = open({ publish: "socket", id: "same" });
  const other = open({ publish: "socket", id: "same" });
  const peers = [await network.next(), await other.network.next()];
  peers.forEach((peer) => peer.welcome());
  const publishes = [socket.publish("x"), socket.publish("x"), other.socket.publish("x")];
  const ids = peers.flatMap((peer) => peer.frames).map((frame) => "id" in frame && frame.id);
  expect(new Set(ids).size).toBe(3);
  publishes.push(socket.publish("x", { id: "mine" }));
  await expect(socket.publish("x", { id: "mine" })).rejects.toThrow(TypeError);
  socket.close();
  other.socket.close();
  await expect(Promise.allSettled(publishes)).resolves.toHaveLength(4);
});

test("CL10 an application's own id may end in a number, and is never taken for the socket's", async () => {
  const { socket, network } = open({ publish: "socket" });
  const peer = await network.next();
  peer.welcome();
  const publishes = [socket.publish("x", { id: "order:9" }), socket.publish("y")];
  const ids = peer.frames.map((frame) => "id" in frame && parseNumberedId(frame.id));
  expect(ids).toMatchObject([null, { number: 2 }]);
  socket.close();
  await expect(Promise.allSettled(publishes)).resolves.toHaveLength(2);
});

test.each([{ topic: "a,b" }, { topic: "" }, { id: "" }, { id: "ä" }, { id: "~me:1" }, { id: "~" }])(
  "CL10, CL13 a publish with %j is a mistake of the caller",
  async (options) => {
    const { socket } = open();
    await expect(socket.publish("x", options)).rejects.toThrow(TypeError);
  },
);

test.each([{ a: 1 }, null, undefined, 5, true, new Date(0), new Blob(["a"]), ["a"]])(
  "CL13 %o is neither text nor bytes: to publish or send it is a mistake of the caller",
  async (data) => {
    const { socket } = open();
    // As from code without types.
    await expect(socket.publish(data as never)).rejects.toThrow(TypeError);
    expect(() => socket.send(data as never)).toThrow(TypeError);
    expect(socket.bufferedAmount).toBe(0);
  },
);

test("CL11 what does not fit the buffer rejects with buffer-full", async () => {
  const { socket } = open({ maxEnqueuedMessages: 1 });
  const first = socket.publish("x");
  expect(socket.bufferedAmount).toBe(1);
  await expect(socket.publish("y")).rejects.toMatchObject({ code: "buffer-full" });
  socket.close();
  await expect(first).rejects.toMatchObject({ code: "closed" });
});

test("CL13 subscribe tells the shard; what is no topic is a mistake of the caller", async () => {
  const { socket, network } = open();
  const peer = await network.next();
  peer.welcome();
  socket.subscribe(["a", "b:*"]);
  expect(peer.frames).toEqual([{ type: "subscribe", topics: ["a", "b:*"] }]);
  expect(() => socket.subscribe(["a*"])).toThrow(TypeError);
  expect(() => open({ topics: Array.from({ length: 101 }, String) })).toThrow(TypeError);
});

test("CL10, CL12 over HTTP a publish is one POST to the router, with the socket's query", async () => {
  const requests: Request[] = [];
  const { socket, network } = open({
    query: { token: "t", topics: "of-the-socket" },
    fetch: async (input, init) => {
      requests.push(new Request(input, init));
      return Response.json({ room: "lobby", epoch: "e", seq: 5 + requests.length });
    },
  });
  (await network.next()).welcome();
  const text = socket.publish("x", { topic: "scores", id: "mine" });
  const bytes = socket.publish(new Uint8Array([1, 2, 3]));
  await expect(text).resolves.toEqual({ epoch: "e", seq: 6 });
  await expect(bytes).resolves.toEqual({ epoch: "e", seq: 7 });
  const [first, second] = requests;
  const url = "http://localhost:1999/parties/router/lobby";
  expect(first?.url).toBe(`${url}?token=t&topic=scores`);
  expect(second?.url).toBe(`${url}?token=t`);
  expect(first?.headers.get("idempotency-key")).toBe("mine");
  expect(await first?.text()).toBe("x");
  expect(second?.headers.get("content-type")).toBe("application/octet-stream");
  expect(await second?.arrayBuffer()).toEqual(new Uint8Array([1, 2, 3]).buffer);
});

test("CL10 over HTTP a failure on the way is repeated with the same key until there is an answer", async () => {
  const keys: (string | null)[] = [];
  const { socket, network } = open({
    fetch: async (_, init) => {
      keys.push(new Headers(init?.headers).get("idempotency-key"));
      if (keys.length === 1) throw new TypeError("fetch failed");
      if (keys.length === 2) return new Response("busy", { status: 503 });
      return Response.json({ epoch: "e", seq: 6 });
    },
  });
  (await network.next()).welcome();
  await expect(socket.publish("x")).resolves.toEqual({ epoch: "e", seq: 6 });
  expect(keys).toHaveLength(3);
  expect(new Set(keys).size).toBe(1);
});

test("CL2, CL3, CL10 with real sockets: what is published while the server drops everyone arrives once, in order", async () => {
  const log: string[] = [];
  const keys = new Map<string, number>();
  const server = new WebSocketServer({ port: 0 });
  await once(server, "listening");
  let connections = 0;
  server.on("connection", (peer, request) => {
    connections += 1;
    const { searchParams } = new URL(request.url ?? "", "ws://localhost");
    const say = (frame: ServerFrame): void => peer.send(encodeServerFrame(frame));
    const since = Number(searchParams.get("since") ?? log.length);
    const recovered = searchParams.get("epoch") === "e";
    const names = { connection: "c", shard: "room-1" };
    say({ type: "welcome", protocol: 1, ...names, epoch: "e", seq: since, recovered });
    let sent = since;
    const send = (): void => {
      const data = log.slice(sent);
      if (data.length > 0) say({ type: "messages", after: sent, through: log.length, data });
      sent = log.length;
    };
    send();
    peer.on("message", (data: Buffer) => {
      const frame = parseClientFrame(data.toString());
      if (!frame.ok || frame.value.type !== "publish") return;
      const { id } = frame.value;
      const seq = keys.get(id) ?? log.push(JSON.stringify(frame.value.data));
      keys.set(id, seq);
      // Every third message is taken, and the connection breaks before the answer.
      if (seq % 3 === 0 && connections <= 5) return peer.terminate();
      send();
      say({ type: "published", id, seq });
    });
  });
  const bound = server.address();
  const port = typeof bound === "object" ? bound?.port : 0;
  const { WebSocket } = globalThis.WebSocket === undefined ? await import("ws") : globalThis;
  const address = { host: `localhost:${port}`, room: "lobby" };
  const socket = new RoomSocket({ ...address, ...quick, WebSocket, publish: "socket" });
  const received: unknown[] = [];
  socket.addEventListener("message", ({ data }) => received.push(data));
  const sent = Array.from({ length: 20 }, (_, index) => `message ${index}`);
  const places = await Promise.all(sent.map(async (text) => socket.publish(text)));
  expect(places.map((place) => place.seq)).toEqual(sent.map((_, index) => index + 1));
  await vi.waitFor(() => expect(received).toHaveLength(20));
  expect(received).toEqual(sent.map((text) => JSON.stringify(text)));
  expect(connections).toBe(6);
  socket.close();
  server.close();
  await once(server, "close");
});
