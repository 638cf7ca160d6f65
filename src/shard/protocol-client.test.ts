import { expect, test } from "vitest";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { TopicFilters } from "../core/topics.ts";
import { ProtocolClient, Window } from "./protocol-client.ts";

const kibi = 1024;

test.each([
  [0, 1024],
  [1, 1024],
  [16, 1024],
  [32, 512],
  [256, 64],
  [5_000, 64],
])("PR7 of %i clients each has a window of %i Ki units", (clients, units) => {
  const window = new Window();
  window.divide(clients);
  expect([window.units, window.messages]).toEqual([units * kibi, (units * kibi) / 64]);
});

test("PR12, PR15 a client whose place was forgotten frees what it was told by acknowledging any", () => {
  const client = new ProtocolClient("c", new FakeSocket(), new TopicFilters([]), 9);
  client.forget();
  client.say("x".repeat(64 * kibi), 0);
  expect(client.hasRoom).toBe(false);
  expect([client.acknowledge(12), client.hasRoom]).toEqual([true, true]);
});

test("PR7 a window that shrinks gives up nobody for what has a number", () => {
  const window = new Window();
  window.divide(1);
  const client = new ProtocolClient("c", new FakeSocket(), new TopicFilters([]), 0, window);
  client.deliver("x".repeat(1024 * kibi), 1, 1, 0);
  client.say("x".repeat(127 * kibi), 0);
  window.divide(1_000);
  expect([client.hasRoom, client.isFlooded]).toEqual([false, false]);
  client.say("x".repeat(kibi), 0);
  expect(client.isFlooded).toBe(true);
  client.acknowledge(1);
  expect([client.hasRoom, client.isFlooded]).toEqual([true, false]);
});

test("PR16 a client makes progress while it acknowledges within two seconds what it should", () => {
  const client = new ProtocolClient("c", new FakeSocket(), new TopicFilters([]), 0);
  // Too little to be acknowledged, for however long.
  client.deliver("x".repeat(10 * kibi), 1, 1, 0);
  expect(client.makesProgress(60_000)).toBe(true);
  client.deliver("x".repeat(10 * kibi), 2, 1, 60_000);
  expect([61_999, 62_000].map((now) => client.makesProgress(now))).toEqual([true, false]);
  client.deliver("x".repeat(10 * kibi), 3, 1, 61_000);
  client.acknowledge(1);
  expect([61_999, 62_000].map((now) => client.makesProgress(now))).toEqual([true, false]);
  client.acknowledge(2);
  expect(client.makesProgress(80_000)).toBe(true);
  client.deliver("x", 300, 297, 90_000);
  expect([91_999, 92_000].map((now) => client.makesProgress(now))).toEqual([true, false]);
});

test("PR7 a window that is divided anew counts for what was sent before", () => {
  const window = new Window();
  window.divide(1);
  const client = new ProtocolClient("c", new FakeSocket(), new TopicFilters([]), 0, window);
  client.deliver("x".repeat(300 * kibi), 1, 1, 0);
  expect(client.hasRoom).toBe(true);
  window.divide(64);
  expect(client.hasRoom).toBe(false);
  window.divide(32);
  expect(client.hasRoom).toBe(true);
  client.deliver("x", 8_193, 8_192, 0);
  expect(client.hasRoom).toBe(false);
  client.acknowledge(1);
  expect(client.hasRoom).toBe(false);
  client.acknowledge(8_193);
  expect(client.hasRoom).toBe(true);
});
