import type * as Party from "partykit/server";
import { expect, test } from "vitest";
import { defineRooms } from "../../core/rooms.ts";
import { shard } from "./shard.ts";

const rooms = defineRooms({});
const refuse = (): Response => new Response("members only", { status: 401 });

class Plain implements Party.Server {
  static onFetch = refuse;
  onMessage(): void {}
}
class Connecting implements Party.Server {
  static onBeforeConnect = refuse;
  onMessage(): void {}
}
class Requested implements Party.Server {
  static onBeforeRequest = refuse;
  onMessage(): void {}
}
class Inheriting extends Requested {}

test.each([
  [Connecting, "onBeforeConnect"],
  [Requested, "onBeforeRequest"],
  [Inheriting, "onBeforeRequest"],
])("RC11 a class with statics of the router is refused: %o", (Room, hook) => {
  expect(() => shard(Room, rooms)).toThrow(
    new RegExp(`${hook} of a room class is never called.*class Router extends router\\(rooms\\)`),
  );
});

test("RC11 a class's other statics stay its own", () => {
  expect(shard(Plain, rooms)).toHaveProperty("onFetch", refuse);
});
