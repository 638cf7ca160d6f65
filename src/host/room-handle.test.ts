import { expect, test } from "vitest";
import { playerOf, publish, roomOf } from "./room-handle.ts";

test.each([
  ["publish", () => publish({}, "a")],
  ["roomOf", () => roomOf({})],
  ["playerOf", () => playerOf({}, { id: "a" })],
])("RC10 %s of what is no room class throws, and says what it takes", (_, ask) => {
  expect(ask).toThrow("a class that was given to shard()");
});
