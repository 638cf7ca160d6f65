/** Rooms with regions inside the runtime, which takes hints and has one place only. */
import { env } from "cloudflare:workers";
import { expect, onTestFinished, test } from "vitest";
import type { Bindings } from "../../../src/host/partyserver/index.ts";
import worker from "../../support/apps/workers/worker.ts";
import type { RecordedSocket } from "../../support/recorded-socket.ts";
import { recordSocket } from "../workers-host.ts";

const places = {
  Paris: { latitude: "48.86", longitude: "2.35" },
  Berlin: { latitude: "52.52", longitude: "13.40" },
  Tokyo: { latitude: "35.68", longitude: "139.69" },
} as const;

/** The Worker's view of a deployment, and how each shard was asked for. */
class World {
  readonly touches: { readonly shard: string; readonly hint: unknown }[] = [];
  readonly #room: string;
  readonly #env: Bindings;

  constructor(room: string) {
    this.#room = room;
    const getByName = (
      shard: string,
      options?: DurableObjectNamespaceGetDurableObjectOptions,
    ): DurableObjectStub => {
      this.touches.push({ shard, hint: options?.locationHint });
      return env.Main.getByName(shard, options);
    };
    const Main = { getByName } as unknown as Bindings["Main"];
    this.#env = { Main, Router: env.Router, Registry: env.Registry };
  }

  async join(from: keyof typeof places): Promise<RecordedSocket> {
    const { status, webSocket } = await this.#ask("", {
      headers: { upgrade: "websocket" },
      cf: places[from],
    });
    if (webSocket === null) throw new Error(`no socket: ${status}`);
    const socket = recordSocket(webSocket);
    onTestFinished(() => socket.close());
    return socket;
  }

  async status(from: keyof typeof places): Promise<number> {
    return (await this.#ask("", { headers: { upgrade: "websocket" }, cf: places[from] })).status;
  }

  async regions(): Promise<unknown[]> {
    const { shards }: { shards: { region?: string }[] } = await (await this.#ask("", {})).json();
    return shards.map(({ region }) => region);
  }

  async deliver(body: string): Promise<unknown> {
    return (await this.#ask("?wait=delivered", { method: "POST", body })).json();
  }

  #ask(query: string, init: RequestInit): Promise<Response> {
    const url = `http://world.test/parties/router/${this.#room}${query}`;
    const request = new Request(url, init) as unknown as Parameters<typeof worker.fetch>[0];
    return worker.fetch(request, this.#env);
  }
}

test("RE3, RE4 clients come to the nearest shard with a place, which is asked for with its region", async () => {
  const world = new World("world:parties");
  for (const from of ["Paris", "Paris", "Berlin", "Paris"] as const) await world.join(from);
  const european = world.touches.map(({ shard }) => shard);
  expect(european.toSorted()).toEqual([
    "world:parties-2",
    "world:parties-2",
    "world:parties-4",
    "world:parties-4",
  ]);
  expect(new Set(world.touches.map(({ hint }) => hint))).toEqual(new Set(["weur"]));
  // Europe is full: America is the next nearest.
  await world.join("Paris");
  expect(world.touches.at(-1)).toEqual({ shard: "world:parties-1", hint: "enam" });
  await world.join("Tokyo");
  expect(world.touches.at(-1)).toEqual({ shard: "world:parties-3", hint: "apac" });
});

test("RE4 every place of a room around the world is taken, and no more", async () => {
  const world = new World("world:crowd");
  for (let n = 0; n < 8; n += 1) await world.join("Berlin");
  expect(await world.status("Berlin")).toBe(503);
});

test("RE5 the status of a room tells where its shards were asked for", async () => {
  expect(await new World("world:map").regions()).toEqual(["enam", "weur", "apac", "weur"]);
});

test("RE3 messages reach the clients in every region", async () => {
  const world = new World("world:news");
  const sockets = [await world.join("Paris"), await world.join("Tokyo")];
  expect(await world.deliver("hello")).toMatchObject({ shards: { delivered: 2, pending: 0 } });
  for (const socket of sockets) expect(await socket.received(1)).toEqual(["hello"]);
});
