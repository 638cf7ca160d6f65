import { expect, onTestFinished, test, vi } from "vitest";
import { RegistryClient, problemType, type RegistryEvent } from "./registry-client.ts";
import type { TextSocket } from "./socket-texts.ts";

const json = (value: unknown, status = 200): Response =>
  Response.json(value, {
    status,
    headers: { "content-type": status < 400 ? "application/json" : "application/problem+json" },
  });

const problem = (code: string, status: number): Response =>
  json({ type: problemType(code), title: code, status, detail: `because ${code}` }, status);

/** A client whose requests are answered here, and the requests. */
function clientOf(answer: (request: Request) => Response | Promise<Response>, timeoutMs = 10_000) {
  const requests: { method: string; path: string; body: unknown; token: string | null }[] = [];
  const client = new RegistryClient({
    token: "secret",
    timeoutMs,
    fetch: async (request) => {
      const { pathname, search } = new URL(request.url);
      const text = await request.clone().text();
      requests.push({
        method: request.method,
        path: pathname.replace("/parties/registry/default/", "") + search,
        body: text === "" ? null : JSON.parse(text),
        token: request.headers.get("authorization"),
      });
      return answer(request);
    },
  });
  return { client, requests };
}

const room = (roomId: string) => ({ roomId, address: "a" });
const data = (value: unknown): string => `: comment\nid: 1\ndata: ${JSON.stringify(value)}\n\n`;
const grant = { key: "k", token: 7, expiresAt: 1_000 };

test("GS2 every operation has its request, with the token", async () => {
  const { client, requests } = clientOf(() =>
    json({
      ...grant,
      roomId: "game:1",
      address: "a",
      ticket: "t",
      type: "create",
      rooms: [],
      servers: [],
      serverId: "s/1",
      status: "online",
      now: 1,
      leaseMs: 2,
      heartbeatIntervalMs: 1,
      dispose: [],
      seq: 1,
    }),
  );
  const server = { serverId: "s/1", address: "a", roomTypes: ["game"], instance: "i" };
  const beat = { instance: "i", asOf: 0, rooms: [] };
  const lock = await client.acquireLock("a/b", 1_000);
  const results = [
    await client.joinOrCreate("game", "p", { query: { hasSpace: true } }),
    await client.reserve("game", { playerIds: ["p", "q"], roomId: "game:1" }),
    await client.route({ roomType: "game", playerId: "p" }),
    await client.queryRooms({ type: "game", hasSpace: true, notLocked: true, limit: 5 }),
    await client.queryRooms({ metadata: { map: "ice cave", level: 3, ranked: true } }, "game:0"),
    await client.queryRooms({ metadata: { build: "5", beta: "true", quoted: '"x"' } }),
    await client.getRoom("game:1"),
    await client.createRoom("game", { maxPlayers: 2 }),
    await client.lockRoom("game:1"),
    await client.unlockRoom("game:1"),
    await client.setMetadata("game:1", { map: "x" }),
    await client.disposeRoom("game:1"),
    await client.resizeRoom("game:1", 3),
    await client.resizeRoom("game:1", null),
    await client.migrateShard("game:1", "game:1-1"),
    await client.getSnapshot("game:1"),
    await client.takeSnapshot("game:1"),
    await client.restoreSnapshot("game:1"),
    await client.getServers(),
    await client.getServers({ kind: "server", type: "game", limit: 5 }, "s/0"),
    await client.registerServer(server),
    await client.heartbeat("s/1", beat),
    await client.drainServer("s/1"),
    await client.unregisterServer("s/1"),
    await client.publishMessage("game:1", { hello: 1 }),
    lock.ok && (await lock.value.extend(2_000)),
    lock.ok && (await lock.value.release()),
  ];
  expect(results.every((result) => result !== false && result.ok)).toBe(true);
  expect(requests.map(({ method, path, body }) => [method, path, body])).toEqual([
    ["POST", "locks/a%2Fb", { ttlMs: 1_000 }],
    ["POST", "reserve", { query: { hasSpace: true }, playerId: "p", roomType: "game" }],
    ["POST", "reserve", { playerIds: ["p", "q"], roomId: "game:1", roomType: "game" }],
    ["POST", "route", { roomType: "game", playerId: "p" }],
    ["GET", "rooms?type=game&hasSpace=true&notLocked=true&limit=5", null],
    [
      "GET",
      "rooms?cursor=game%3A0&metadata.map=%22ice+cave%22&metadata.level=3&metadata.ranked=true",
      null,
    ],
    [
      "GET",
      "rooms?metadata.build=%225%22&metadata.beta=%22true%22&metadata.quoted=%22%22x%22%22",
      null,
    ],
    ["GET", "rooms/game%3A1", null],
    ["POST", "rooms", { maxPlayers: 2, type: "game" }],
    ["PATCH", "rooms/game%3A1", { isLocked: true }],
    ["PATCH", "rooms/game%3A1", { isLocked: false }],
    ["PATCH", "rooms/game%3A1", { metadata: { map: "x" } }],
    ["DELETE", "rooms/game%3A1", null],
    ["POST", "rooms/game%3A1/resize", { shards: 3 }],
    ["POST", "rooms/game%3A1/resize", { shards: null }],
    ["POST", "rooms/game%3A1/migrate", { from: "game:1-1" }],
    ["GET", "snapshots/game%3A1", null],
    ["PUT", "snapshots/game%3A1", null],
    ["POST", "snapshots/game%3A1/restore", null],
    ["GET", "servers", null],
    ["GET", "servers?kind=server&type=game&limit=5&cursor=s%2F0", null],
    ["POST", "servers", server],
    ["PUT", "servers/s%2F1/heartbeat", beat],
    ["POST", "servers/s%2F1/drain", null],
    ["DELETE", "servers/s%2F1", null],
    ["POST", "events", { type: "room:message", roomId: "game:1", data: { hello: 1 } }],
    ["PUT", "locks/k", { token: 7, ttlMs: 2_000 }],
    ["DELETE", "locks/k?token=7", null],
  ]);
  expect(new Set(requests.map(({ token }) => token))).toEqual(new Set(["Bearer secret"]));
});

test("GS2 an empty id is a problem, and asks for nothing else", async () => {
  const { client, requests } = clientOf(() => problem("unavailable", 503));
  for (const result of [await client.getRoom(""), await client.drainServer("")]) {
    expect(result).toMatchObject({ ok: false, problem: { status: 400 } });
  }
  expect(requests).toEqual([]);
});

test("GS2 a refusal is a problem, as the registry said it", async () => {
  const { client } = clientOf(() => problem("room-locked", 403));
  expect(await client.getRoom("game:1")).toEqual({
    ok: false,
    problem: {
      type: "urn:partyshard:problem:room-locked",
      title: "room-locked",
      status: 403,
      detail: "because room-locked",
    },
  });
});

test.each([
  ["a network that fails", () => Promise.reject(new TypeError("fetch failed"))],
  ["a page of some proxy", () => new Response("<html>", { status: 502 })],
  ["a refusal without a problem", () => json({ error: "no" }, 500)],
  ["an answer of something else", () => json({ hello: "world" })],
  ["an empty answer", () => new Response(null)],
])("GS2 %s is `unavailable`, and throws nothing", async (_, answer) => {
  const { client } = clientOf(answer);
  const result = await client.getRoom("game:1");
  expect(result).toMatchObject({ ok: false, problem: { type: problemType("unavailable") } });
});

test("GS2 a call that is never answered ends at its deadline", async () => {
  const { client } = clientOf(() => Promise.withResolvers<Response>().promise, 5);
  const result = await client.getServers();
  expect(!result.ok && result.problem).toMatchObject({ status: 503 });
  expect(!result.ok && result.problem.detail).toContain("no answer within 5 ms");
});

test("GS2 a body that never ends is no way round the deadline", async () => {
  const { client } = clientOf(() => new Response(new ReadableStream()), 5);
  expect(await client.getServers()).toMatchObject({ ok: false, problem: { status: 503 } });
});

test("GS3 all rooms are listed page by page, short and empty ones too, up to a problem", async () => {
  const pages = [
    json({ rooms: [room("a"), room("b")], cursor: "b" }),
    json({ rooms: [], cursor: "q" }),
    json({ rooms: [room("r")] }),
  ];
  const { client, requests } = clientOf(() => pages.shift() ?? problem("unavailable", 503));
  const found: unknown[] = [];
  for await (const each of client.rooms({ type: "game" })) {
    found.push(each.ok ? each.value.roomId : each);
  }
  expect(found).toEqual(["a", "b", "r"]);
  expect(requests.map(({ path }) => path)).toEqual([
    "rooms?type=game",
    "rooms?type=game&cursor=b",
    "rooms?type=game&cursor=q",
  ]);
  const refused: boolean[] = [];
  for await (const each of client.rooms()) refused.push(each.ok);
  expect(refused).toEqual([false]);
});

test("GS4 `withLock` releases in the end, whatever came of it", async () => {
  const { client, requests } = clientOf(() => json(grant));
  expect(await client.withLock("k", 1_000, async (lock) => lock.token)).toEqual({
    ok: true,
    value: 7,
  });
  const failing = client.withLock("k", 1_000, () => Promise.reject(new Error("mine")));
  await expect(failing).rejects.toThrow("mine");
  const methods = requests.map(({ method }) => method);
  expect(methods).toEqual(["POST", "DELETE", "POST", "DELETE"]);
});

test("GS4 `withLock` does nothing while another owner has the lock", async () => {
  const { client, requests } = clientOf(() => problem("lock-held", 409));
  const work = vi.fn<() => Promise<null>>(async () => null);
  expect(await client.withLock("k", 1_000, work)).toMatchObject({ ok: false });
  expect(work).not.toHaveBeenCalled();
  expect(requests.length).toBe(1);
});

test("GS4 `withLock` extends the lock meanwhile, and says when it is lost", async () => {
  const answers = [json(grant), json({ ...grant, expiresAt: 2_000 })];
  const { client, requests } = clientOf(() => answers.shift() ?? problem("lock-lost", 409));
  const held = await client.withLock("k", 30, async (lock, signal) => {
    const { promise, resolve } = Promise.withResolvers<unknown>();
    signal.addEventListener("abort", () => resolve(signal.reason));
    return [await promise, lock.expiresAt];
  });
  expect(held).toEqual({ ok: true, value: [new Error("the lock k is lost"), 2_000] });
  const methods = requests.map(({ method }) => method);
  expect(methods).toEqual(["POST", "PUT", "PUT", "DELETE"]);
});

const event = (seq: number): RegistryEvent => ({
  type: "room:disposed",
  roomId: "game:1",
  reason: "empty",
  seq,
  at: seq,
});

test("GS5 events come as a stream, and again after it broke", async () => {
  const streams = [
    data({ type: "subscribed", pattern: "room:*", seq: 0 }) +
      data(event(1)) +
      "data: {not json\n\n",
    data({ type: "subscribed", pattern: "room:*", seq: 4 }) + data(event(5)) + data(event(6)),
  ];
  const { client, requests } = clientOf(() => new Response(streams.shift() ?? ""));
  const events = client.events("room:*");
  const seen: number[] = [];
  for await (const each of events) {
    seen.push(each.seq);
    if (each.seq === 6) break;
  }
  expect(seen).toEqual([1, 5, 6]);
  expect(await events.subscribed).toBe(true);
  const asked = "events?pattern=room%3A*";
  expect(requests.map(({ path }) => path)).toEqual([asked, asked]);
});

test("GS5 events that are refused for good end the iteration with the problem", async () => {
  const answers = [problem("unavailable", 503), problem("unauthorized", 401)];
  const { client } = clientOf(() => answers.shift() ?? json({}));
  const events = client.events();
  for await (const each of events) expect(each).toBeNull();
  expect(events.problem).toMatchObject({ status: 401 });
  expect(await events.subscribed).toBe(false);
  expect(answers).toEqual([]);
});

class FakeSocket implements TextSocket {
  readonly sent: string[] = [];
  isClosed = false;
  #onMessage = (_event: { data: unknown }): void => {};
  #onEnd = (): void => {};

  addEventListener(type: string, listener: (event: { data: unknown }) => void): void {
    if (type === "message") this.#onMessage = listener;
    else this.#onEnd = () => listener({ data: null });
  }

  send(text: string): void {
    this.sent.push(text);
  }

  close(): void {
    this.isClosed = true;
  }

  hangUp(): void {
    this.#onEnd();
  }

  bring(...values: unknown[]): void {
    for (const value of values) this.#onMessage({ data: JSON.stringify(value) });
  }
}

test("GS5 events over a WebSocket are acknowledged as they are taken, a hundred at a time", async () => {
  const sockets: FakeSocket[] = [];
  const opened: [string, unknown][] = [];
  const client = new RegistryClient({
    url: "http://127.0.0.1:1",
    token: "secret",
    openWebSocket: (url, headers) => {
      opened.push([url, headers]);
      const socket = new FakeSocket();
      sockets.push(socket);
      queueMicrotask(() => {
        socket.bring({ type: "subscribed", pattern: "*", seq: 0 });
        socket.bring(...Array.from({ length: 250 }, (_, index) => event(index + 1)));
      });
      return socket;
    },
  });
  const stop = new AbortController();
  onTestFinished(() => stop.abort());
  const iterator = client.events("*", { signal: stop.signal })[Symbol.asyncIterator]();
  const take = async (count: number): Promise<void> => {
    for (let taken = 0; taken < count; taken += 1) await iterator.next();
  };
  await take(100);
  const [socket] = sockets;
  expect(socket?.sent).toEqual([]);
  await take(101);
  expect(socket?.sent).toEqual([
    JSON.stringify({ type: "ack", seq: 100 }),
    JSON.stringify({ type: "ack", seq: 200 }),
  ]);
  // The registry hangs up: what came is still handed over, then another connection is opened.
  socket?.hangUp();
  await take(49);
  expect(await iterator.next()).toMatchObject({ value: { seq: 1 } });
  expect(opened).toEqual(
    Array.from({ length: 2 }, () => [
      "ws://127.0.0.1:1/parties/registry/default/events?pattern=*",
      { authorization: "Bearer secret" },
    ]),
  );
  stop.abort();
  expect(await iterator.next()).toEqual({ done: true, value: undefined });
  expect(sockets[1]?.isClosed).toBe(true);
});

test("GS5 a signal ends an iteration that waits", async () => {
  const { client } = clientOf(() => new Response(new ReadableStream()));
  const stop = new AbortController();
  const iterator = client.events("*", { signal: stop.signal })[Symbol.asyncIterator]();
  const next = iterator.next();
  stop.abort();
  expect(await next).toEqual({ done: true, value: undefined });
});
