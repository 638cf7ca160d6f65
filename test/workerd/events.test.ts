import { evictDurableObject } from "cloudflare:test";
import { env, exports } from "cloudflare:workers";
import { afterEach, expect, test } from "vitest";
import { RegistryClient, type RegistryEvent } from "../../client/registry-client.ts";
import { Recording } from "../support/recording.ts";
import { kill } from "./objects.ts";

type Event = { readonly type: string; readonly seq: number; readonly serverId?: string };

const hub = () => env.Registry.getByName("default");
const url = (pattern: string): string =>
  `https://partyshard.internal/~events?pattern=${encodeURIComponent(pattern)}`;

const open: WebSocket[] = [];
afterEach(() => {
  for (const socket of open.splice(0)) socket.close();
});

class Subscriber {
  readonly events = new Recording<Event>((event) => JSON.stringify(event));
  readonly closed: Promise<number>;
  readonly socket: WebSocket;

  private constructor(socket: WebSocket) {
    this.socket = socket;
    socket.addEventListener("message", ({ data }) => {
      this.events.add(JSON.parse(String(data)) as Event);
    });
    this.closed = new Promise((resolve) => {
      socket.addEventListener("close", ({ code }) => resolve(code));
    });
    socket.accept();
    open.push(socket);
  }

  static async open(pattern = "*"): Promise<Subscriber> {
    return Subscriber.take(await hub().fetch(url(pattern), { headers: { upgrade: "websocket" } }));
  }

  static take(response: Response): Subscriber {
    if (response.webSocket === null) throw new Error(`no socket: ${response.status}`);
    return new Subscriber(response.webSocket);
  }

  async receives(count: number): Promise<readonly Event[]> {
    await this.events.until(() => this.events.items.length >= count, `${count} frames`);
    return this.events.items;
  }
}

async function publish(...servers: readonly string[]): Promise<unknown> {
  const events = servers.map((serverId) => ({ type: "server:online", serverId, at: 1 }));
  return hub().partyshardCall({ type: "events", events, lost: 0 });
}

test("EV1, EV4 a socket at the hub gets the events of its pattern, and the hub knows that it is heard", async () => {
  expect(await publish("nobody")).toEqual({ ok: true, value: { isHeard: false } });
  const subscriber = await Subscriber.open("server:*");
  const other = await Subscriber.open("room:*");
  expect(await publish("a", "b")).toEqual({ ok: true, value: { isHeard: true } });
  const [first, ...events] = await subscriber.receives(3);
  expect(first).toMatchObject({ type: "subscribed", pattern: "server:*" });
  const start = first?.seq ?? NaN;
  expect(events).toEqual([
    { type: "server:online", serverId: "a", at: 1, seq: start + 1 },
    { type: "server:online", serverId: "b", at: 1, seq: start + 2 },
  ]);
  expect(other.events.items).toHaveLength(1);
});

test("EV7 a socket goes on after the hub slept, with its pattern and its numbers", async () => {
  const subscriber = await Subscriber.open("server:*");
  await publish("a");
  await subscriber.receives(2);
  await evictDurableObject(hub());
  expect(await publish("b")).toEqual({ ok: true, value: { isHeard: true } });
  const [, first, second] = await subscriber.receives(3);
  expect(second?.serverId).toBe("b");
  expect(second?.seq).toBe((first?.seq ?? NaN) + 1);
  subscriber.socket.send(JSON.stringify({ type: "ack", seq: second?.seq }));
  await evictDurableObject(hub());
  subscriber.socket.send("no acknowledgement");
  expect(await subscriber.closed).toBe(4500);
  expect(await publish("c")).toEqual({ ok: true, value: { isHeard: false } });
});

test("EV5 a socket that does not acknowledge is closed, and the hub's sleep does not excuse it", async () => {
  const subscriber = await Subscriber.open();
  await publish(...Array.from({ length: 900 }, String));
  await subscriber.receives(901);
  await evictDurableObject(hub());
  await publish(...Array.from({ length: 200 }, String));
  expect(await subscriber.closed).toBe(4005);
});

test("EV6 a binary frame closes the subscriber", async () => {
  const subscriber = await Subscriber.open();
  subscriber.socket.send(new Uint8Array([1]));
  expect(await subscriber.closed).toBe(4500);
});

test("EV7 a socket that closed is nobody's, also while the hub slept", async () => {
  const subscriber = await Subscriber.open();
  await subscriber.receives(1);
  await evictDurableObject(hub());
  subscriber.socket.close(1000, "done");
  await subscriber.closed;
  expect(await publish("a")).toEqual({ ok: true, value: { isHeard: false } });
});

test("EV1, EV4 a stream carries events, and its reader's leaving is noticed", async () => {
  const response = await hub().fetch(url("server:*"));
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const body: ReadableStream<Uint8Array> | null = response.body;
  const reader = body?.getReader();
  const read = async () => new TextDecoder().decode((await reader?.read())?.value);
  expect(await read()).toContain("event: subscribed\n");
  await publish("a");
  expect(await read()).toMatch(/^id: \d+\ndata: \{"type":"server:online","serverId":"a"/);
  await reader?.cancel();
  await expect
    .poll(() => publish("x"), { timeout: 10_000 })
    .toEqual({ ok: true, value: { isHeard: false } });
});

test("EV1 a malformed pattern and another path are refused", async () => {
  expect((await hub().fetch(url("no pattern"))).status).toBe(400);
  expect((await hub().fetch("https://partyshard.internal/other")).status).toBe(404);
  const socket = await Subscriber.open("no pattern");
  expect(await socket.closed).toBe(4500);
});

test("LO3, SV3 locks and servers outlive the hub", async () => {
  const lock = { type: "lock", key: "shop", ttlMs: 60_000 };
  const held = (await hub().partyshardCall(lock)) as { value: { token: number } };
  const server = {
    serverId: "a",
    address: "game.test",
    capacity: 1,
    roomTypes: ["game"],
    metadata: {},
    instance: "first",
  };
  expect(await hub().partyshardCall({ type: "register", server })).toMatchObject({ ok: true });
  const allocate = { type: "allocate", room: "game:1", key: "ann", region: null };
  const at = { server: "a", url: "ws://game.test/parties/router/game:1" };
  const place = { ok: true, value: { ...at, instance: "first" } };
  expect(await hub().partyshardCall(allocate)).toEqual(place);
  await kill(hub());
  expect(await hub().partyshardCall(allocate)).toMatchObject(place);
  expect(await hub().partyshardCall(lock)).toMatchObject({ ok: false, code: "lock-held" });
  const release = { type: "release", key: "shop", token: held.value.token };
  expect(await hub().partyshardCall(release)).toMatchObject({ ok: true });
  const again = (await hub().partyshardCall(lock)) as { value: { token: number } };
  expect(again.value.token).toBeGreaterThan(held.value.token);
});

test("EV1, IO4 the gate hands subscribers with the token to the hub, and others nowhere", async () => {
  const address = "http://rooms.test/parties/registry/default/events?pattern=room:message";
  const headers = { authorization: "Bearer test-admin-token" };
  const refused = await exports.default.fetch(address, { headers: { upgrade: "websocket" } });
  expect(refused.status).toBe(401);
  const upgrade = { ...headers, upgrade: "websocket" };
  const subscriber = Subscriber.take(await exports.default.fetch(address, { headers: upgrade }));
  const streamed = await exports.default.fetch(address, { headers });
  const body: ReadableStream<Uint8Array> | null = streamed.body;
  const reader = body?.getReader();
  await reader?.read();
  const message = { type: "room:message", roomId: "lobby", data: { from: "a" } };
  const asked = { method: "POST", headers, body: JSON.stringify(message) };
  expect((await exports.default.fetch(address, asked)).status).toBe(200);
  const [, event] = await subscriber.receives(2);
  expect(event).toMatchObject(message);
  expect(new TextDecoder().decode((await reader?.read())?.value)).toContain('"from":"a"');
  await reader?.cancel();
});

/** What the client's events bring, from now on. */
async function listen(client: RegistryClient, pattern: string) {
  const heard = new Recording<RegistryEvent>((event) => JSON.stringify(event));
  const events = client.events(pattern);
  const over = (async () => {
    for await (const event of events) heard.add(event);
  })();
  expect(await events.subscribed).toBe(true);
  const hears = (count: number): Promise<void> =>
    heard.until(() => heard.items.length >= count, `${count} events`);
  return { events, heard, hears, over };
}

const clientWith = (token: string): RegistryClient =>
  new RegistryClient({ fetch: (request) => exports.default.fetch(request), token });

test("GS5, EV1, EV7 a client's events come through the gate as a stream, and end when it closes them", async () => {
  const client = clientWith("test-admin-token");
  const { events, heard, hears, over } = await listen(client, "room:*,server:draining");
  await publish("no message");
  for (const data of ["one", { two: "2\n" }]) {
    expect(await client.publishMessage("lobby", data)).toMatchObject({ ok: true });
  }
  await hears(2);
  const said = heard.items.map((event) => event.type === "room:message" && event.data);
  expect(said).toEqual(["one", { two: "2\n" }]);
  const [first, second] = heard.items;
  expect(second?.seq).toBe((first?.seq ?? NaN) + 1);
  events.close();
  await over;
  expect(events.problem).toBeNull();
  // The hub learns it by the next event for that stream.
  const announced = async (): Promise<unknown> => client.publishMessage("lobby", "three");
  await expect
    .poll(announced, { timeout: 10_000 })
    .toEqual({ ok: true, value: { isHeard: false } });
});

test("GS5 a client's stream comes back after the hub died", async () => {
  const client = clientWith("test-admin-token");
  const { events, heard, hears, over } = await listen(client, "server:*");
  await publish("before");
  await hears(1);
  await kill(hub());
  await expect
    .poll(() => publish("after"), { timeout: 10_000 })
    .toEqual({ ok: true, value: { isHeard: true } });
  await hears(2);
  expect(heard.items[1]).toMatchObject({ type: "server:online", serverId: "after" });
  expect(heard.items[1]?.seq).toBeGreaterThan(heard.items[0]?.seq ?? NaN);
  events.close();
  await over;
});

test("GS5 a client without the token is told why it hears nothing", async () => {
  const events = clientWith("guess").events();
  for await (const event of events) expect(event).toBeNull();
  expect(events.problem).toMatchObject({ status: 401 });
  expect(await events.subscribed).toBe(false);
});
