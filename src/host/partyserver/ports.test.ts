/** The ports over namespaces that keep how each object was asked for. */
import { expect, test } from "vitest";
import { defineRooms } from "../../core/rooms.ts";
import type { Address } from "../../core/ports.ts";
import { shardId, type RoomId, type ShardId } from "../../protocol/names.ts";
import { createCaller, dialShard, type Bindings } from "./ports.ts";

const rooms = defineRooms({ world: { shards: 3, regions: ["weur", "enam"] }, here: {} });
const shard = (room: string, slot: number, generation = 1): ShardId =>
  shardId(room as RoomId, slot, generation);

type Touch = { readonly id: string; readonly hint: string | undefined };
type Options = { readonly locationHint?: string };

/** Bindings whose objects answer every call, and take no links. */
class FakeBindings {
  readonly touches: Touch[] = [];

  readonly #namespace = {
    getByName: (id: string, options?: Options) => {
      this.touches.push({ id, hint: options?.locationHint });
      return {
        partyshardCall: () => Promise.resolve({ ok: true, value: null }),
        fetch: () => Promise.resolve({ webSocket: null }),
      };
    },
  };

  get bindings(): Bindings {
    const all = { Main: this.#namespace, Router: this.#namespace, Registry: this.#namespace };
    return all as unknown as Bindings;
  }
}

test("RE3 every call to a shard brings its region, also the second", async () => {
  const fake = new FakeBindings();
  const caller = createCaller(fake.bindings, rooms);
  for (const id of [shard("world:a", 1), shard("world:a", 2, 7), shard("world:a", 2, 7)]) {
    expect(await caller.call({ role: "shard", id }, { type: "load" })).toMatchObject({ ok: true });
  }
  expect(fake.touches).toEqual([
    { id: "world:a-1", hint: "weur" },
    { id: "world:a-2~7", hint: "enam" },
    { id: "world:a-2~7", hint: "enam" },
  ]);
});

test("RE3 a link is dialled with the shard's region", async () => {
  const fake = new FakeBindings();
  const events = { message: () => {}, close: () => {} };
  const dialled = await dialShard(fake.bindings.Main, rooms, shard("world:a", 3), events);
  expect(dialled).toMatchObject({ ok: false, code: "unreachable" });
  expect(fake.touches).toEqual([{ id: "world:a-3", hint: "weur" }]);
});

test("RE3 shards without regions, and other objects, are asked for without a hint", async () => {
  const fake = new FakeBindings();
  const caller = createCaller(fake.bindings, rooms);
  await caller.call({ role: "shard", id: shard("here:a", 1) }, { type: "load" });
  const sequencer: Address<"sequencer"> = { role: "sequencer", id: "world:a" as RoomId };
  await caller.call(sequencer, { type: "status" });
  await caller.call({ role: "registry", id: "default" }, { type: "metrics" });
  expect(fake.touches).toEqual([
    { id: "here:a-1", hint: undefined },
    { id: "world:a", hint: undefined },
    { id: "default", hint: undefined },
  ]);
});
