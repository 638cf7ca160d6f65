/** A client that is led from its room to a server elsewhere, and back, over real sockets. */
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { encodeServerFrame, type ServerFrame } from "../src/protocol/client.ts";
import { within } from "../test/support/deadline.ts";
import { RoomSocket, type RoomSocketOptions } from "./room-socket.ts";

type Welcome = ServerFrame & { type: "welcome" };

/** One client's connection, in the hands of the test. */
class Peer {
  readonly path: string;
  readonly query: Record<string, string>;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket, url: string) {
    const { pathname, searchParams } = new URL(url, "ws://localhost");
    this.path = pathname;
    this.query = Object.fromEntries(searchParams);
    this.#socket = socket;
  }

  say(frame: ServerFrame): void {
    this.#socket.send(encodeServerFrame(frame));
  }

  welcome(place: Pick<Welcome, "epoch" | "seq" | "recovered" | "session">): void {
    this.say({ type: "welcome", protocol: 1, connection: "me", shard: "lobby-1", ...place });
  }

  drop(): void {
    this.#socket.terminate();
  }
}

/** A plain server of WebSockets that knows nothing of rooms. */
class Server {
  readonly #server: WebSocketServer;
  readonly #peers: Peer[] = [];

  private constructor(server: WebSocketServer) {
    this.#server = server;
    server.on("connection", (socket, request) => {
      this.#peers.push(new Peer(socket, request.url ?? ""));
      server.emit("peer");
    });
  }

  static async start(): Promise<Server> {
    const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    await once(server, "listening");
    const started = new Server(server);
    stops.push(() => started.stop());
    return started;
  }

  get host(): string {
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") throw new Error("not listening");
    return `127.0.0.1:${bound.port}`;
  }

  /** The next connection. */
  async next(): Promise<Peer> {
    if (this.#peers.length === 0) await within(once(this.#server, "peer"), () => "nobody came");
    const peer = this.#peers.shift();
    if (peer === undefined) throw new Error("somebody else took it");
    return peer;
  }

  get waiting(): number {
    return this.#peers.length;
  }

  stop(): void {
    for (const client of this.#server.clients) client.terminate();
    this.#server.close();
  }
}

const stops: (() => void)[] = [];
afterEach(() => {
  for (const stop of stops.splice(0).toReversed()) stop();
});

/** Any connection that was welcomed has stayed. */
const quick = { minReconnectionDelay: 1, maxReconnectionDelay: 1, minUptime: 0 };

function join(server: Server, options: Partial<RoomSocketOptions> = {}): RoomSocket {
  const address = { host: server.host, room: "lobby", id: "me", WebSocket };
  const socket = new RoomSocket({ ...address, ...quick, ...options });
  stops.push(() => socket.close());
  return socket;
}

async function heard(socket: RoomSocket, type: string): Promise<unknown> {
  const event = new Promise<unknown>((resolve) => {
    socket.addEventListener(type, resolve, { once: true });
  });
  const heardOf = await within(event, () => `no ${type} event`);
  if (heardOf instanceof MessageEvent) return heardOf.data as unknown;
  return heardOf instanceof CustomEvent ? (heardOf.detail as unknown) : heardOf;
}

test("CL8, CL2, CL18 a client goes where it is led, on from its position and with the ticket for there", async () => {
  const [router, game] = [await Server.start(), await Server.start()];
  const socket = join(router, { query: { ticket: "of the router", token: "t" } });
  const first = await router.next();
  expect(first.query).toEqual({
    _pk: "me",
    protocol: "1",
    ticket: "of the router",
    token: "t",
  });
  first.welcome({ epoch: "e", seq: 5, recovered: false, session: "of the router" });
  first.say({ type: "messages", after: 5, through: 6, data: ["six"] });
  expect(await heard(socket, "message")).toBe("six");
  first.say({ type: "redirect", url: `ws://${game.host}/games/lobby?ticket=of+the+game` });
  const moved = await game.next();
  expect(moved.path).toBe("/games/lobby");
  const known = { _pk: "me", protocol: "1", token: "t" };
  const place = { epoch: "e", since: "6" };
  expect(moved.query).toEqual({ ...known, ...place, ticket: "of the game" });
  const recovered = heard(socket, "recovered");
  moved.welcome({ epoch: "e", seq: 6, recovered: true, session: "of the game" });
  expect(await recovered).toEqual({ position: { epoch: "e", seq: 6 } });
  const message = heard(socket, "message");
  moved.say({ type: "messages", after: 6, through: 7, data: ["seven"] });
  expect(await message).toBe("seven");
  // Later connections go there too, and bring what that server gave.
  moved.drop();
  const back = await game.next();
  const tickets = { ticket: "of the game", session: "of the game" };
  expect(back.query).toEqual({ ...known, epoch: "e", since: "7", ...tickets });
  // A server that has another history is another place: the position is not kept.
  const reset = heard(socket, "reset");
  back.welcome({ epoch: "f", seq: 2, recovered: true });
  const position = { epoch: "f", seq: 2 };
  expect(await reset).toMatchObject({ previous: { epoch: "e", seq: 7 }, position });
  expect([socket.position, socket.status, router.waiting]).toEqual([position, "open", 0]);
});

test("CL8 a client that is led away before its welcome begins there, without a position", async () => {
  const [router, game] = [await Server.start(), await Server.start()];
  const socket = join(router);
  const opened = heard(socket, "open");
  (await router.next()).say({ type: "redirect", url: `ws://${game.host}/lobby` });
  const moved = await game.next();
  expect(moved.query).toEqual({ _pk: "me", protocol: "1" });
  moved.welcome({ epoch: "g", seq: 0, recovered: false });
  await opened;
  expect(socket.position).toEqual({ epoch: "g", seq: 0 });
});

test("CL8 a client returns to its room when the server elsewhere has failed three times in a row", async () => {
  const [router, game] = [await Server.start(), await Server.start()];
  const socket = join(router);
  const url = `ws://${game.host}/lobby`;
  (await router.next()).say({ type: "redirect", url });
  const moved = await game.next();
  const opened = heard(socket, "open");
  moved.welcome({ epoch: "g", seq: 3, recovered: false });
  await opened;
  let closes = 0;
  socket.addEventListener("close", () => (closes += 1));
  game.stop();
  const home = await router.next();
  expect([closes, home.query]).toEqual([3, { _pk: "me", protocol: "1", epoch: "g", since: "3" }]);
  const reset = heard(socket, "reset");
  home.welcome({ epoch: "e", seq: 9, recovered: false });
  expect(await reset).toMatchObject({ position: { epoch: "e", seq: 9 } });
});

test("CL8 a server that takes nobody is given up after three attempts, and may be named again", async () => {
  const [router, game] = [await Server.start(), await Server.start()];
  const url = `ws://${game.host}/lobby`;
  game.stop();
  const socket = join(router);
  const attempts: number[] = [];
  let closes = 0;
  socket.addEventListener("close", () => (closes += 1));
  for (let round = 0; round < 3; round += 1) {
    (await router.next()).say({ type: "redirect", url });
    attempts.push(closes);
  }
  await router.next();
  // One close for the redirect itself, and three that fail.
  expect([...attempts, closes]).toEqual([0, 4, 8, 12]);
});
