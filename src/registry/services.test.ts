import { expect, test } from "vitest";
import { fakePorts } from "../../test/support/fake-ports.ts";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { turns } from "../../test/support/turns.ts";
import { hub, partitionNames, partitionOf } from "../core/partitions.ts";
import { defineRooms } from "../core/rooms.ts";
import type { RoomId } from "../protocol/names.ts";
import { Registry } from "./registry.ts";

const rooms = defineRooms({ game: {} }, { partitions: 3 });
const [, other = hub] = partitionNames(3);

async function start(name: string) {
  const ports = fakePorts();
  return { ports, registry: await Registry.start(rooms, ports, name) };
}

/** A key that this partition keeps. */
function keyOf(partition: string): string {
  const keys = Array.from({ length: 100 }, (_, index) => `key-${index}`);
  return keys.find((key) => partitionOf(key, 3) === partition) ?? "";
}

const allServers = { type: "servers", kind: null, roomType: null, after: null } as const;
const server = {
  serverId: "a",
  address: "game.test",
  capacity: 1,
  roomTypes: ["game"],
  metadata: {},
  instance: "first",
};

test("LO1 a lock is given by the partition of its key alone", async () => {
  const { registry } = await start(other);
  const lock = { type: "lock", ttlMs: 1_000 } as const;
  expect(await registry.handle({ ...lock, key: keyOf(other) })).toMatchObject({ ok: true });
  for (const key of [keyOf(hub), ""]) {
    expect(await registry.handle({ ...lock, key })).toMatchObject({ ok: false });
  }
});

test("LO3 a lock is adopted by the partition of its key alone", async () => {
  const { ports, registry } = await start(other);
  const row = { token: 7, expiresAt: ports.clock.now() + 1_000 };
  const adopt = (key: string) => registry.handle({ type: "adopt", rows: { [`lock/${key}`]: row } });
  expect(await adopt(keyOf(other))).toMatchObject({ ok: true });
  expect(await adopt(keyOf(hub))).toMatchObject({ ok: false, code: "unavailable" });
  const release = { type: "release", key: keyOf(other), token: 7 } as const;
  expect(await registry.handle(release)).toMatchObject({ ok: true });
});

test("SV1, EV1 servers and events are the hub's", async () => {
  const partition = await start(other);
  const register = { type: "register", server } as const;
  expect(await partition.registry.handle(register)).toMatchObject({ code: "unavailable" });
  const { registry } = await start(hub);
  const socket = Object.assign(new FakeSocket(), { kept: null, keep: () => {} });
  registry.events.subscribe(socket, "server:*");
  expect(await registry.handle(register)).toMatchObject({ ok: true });
  expect(socket.frames[1]).toMatchObject({ type: "server:online", serverId: "a", seq: 1 });
});

test("EV3 what arises in another partition is sent to the hub", async () => {
  const { ports, registry } = await start(other);
  ports.calls.answer = () => ({ ok: true, value: { isHeard: true } });
  registry.emit({ type: "server:online", serverId: "a" });
  expect(ports.wakeups.at).toBe(ports.clock.now());
  registry.wake();
  await turns();
  expect(ports.calls.of("events")).toMatchObject([
    { events: [{ type: "server:online", at: ports.clock.now() }], lost: 0 },
  ]);
  expect(ports.calls.made.at(-1)?.id).toBe(hub);
});

test("SN7 an alarm is set for the end of a snapshot", async () => {
  const { ports, registry } = await start(hub);
  const names = Array.from({ length: 100 }, (_, index) => `game:${index}` as RoomId);
  const room = names.find((each) => rooms.partitionOf(each) === hub) ?? ("game:0" as RoomId);
  const position = { epoch: "1", seq: 1 };
  const digests = ["0".repeat(64)];
  await registry.handle({ type: "beginSnapshot", room, position, digests });
  expect(ports.wakeups.durableAt).toBe(ports.clock.now() + 120_000);
});

test("SV3 the hub is woken for a silent server even if it dies meanwhile", async () => {
  const { ports, registry } = await start(hub);
  await registry.handle({ type: "register", server });
  expect(ports.wakeups.durableAt).toBe(ports.clock.now() + 15_000);
  ports.clock.advance(15_000);
  registry.wake();
  const listed = await registry.handle({ ...allServers, limit: 1 });
  expect(listed).toMatchObject({ value: { servers: [{ status: "offline" }] } });
});
