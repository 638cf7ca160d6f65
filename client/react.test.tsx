// @vitest-environment happy-dom
import { act, StrictMode, type ReactNode } from "react";
import { createRoot, type Root } from "react-dom/client";
import { renderToString } from "react-dom/server";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { ServerFrame } from "../src/protocol/client.ts";
import { FakeNetwork, type FakeWebSocket } from "../test/support/fake-web-socket.ts";
import { useRoom, type Room, type UseRoomOptions } from "./react.ts";

let network = new FakeNetwork();
let root: Root;

beforeEach(() => {
  vi.stubGlobal("IS_REACT_ACT_ENVIRONMENT", true);
  network = new FakeNetwork();
  root = createRoot(document.createElement("div"));
});

afterEach(() => {
  act(() => root.unmount());
  vi.unstubAllGlobals();
});

/** The next socket, and what its opening renders. */
async function opened(): Promise<FakeWebSocket> {
  return act(async () => network.next());
}

function Probe({ rooms, ...options }: Partial<UseRoomOptions> & { rooms: Room[] }): ReactNode {
  const pauses = { minReconnectionDelay: 1, maxReconnectionDelay: 1 };
  const { WebSocket } = network;
  const room = useRoom({ host: "localhost:1999", room: "lobby", ...pauses, WebSocket, ...options });
  rooms.push(room);
  return room.status;
}

/** Renders a component that uses the room, and gives what the hook gave each time. */
function rendering(): { rooms: Room[]; render: (options: Partial<UseRoomOptions>) => void } {
  const rooms: Room[] = [];
  return {
    rooms,
    render: (options) => {
      const tree = (
        <StrictMode>
          <Probe rooms={rooms} {...options} />
        </StrictMode>
      );
      act(() => root.render(tree));
    },
  };
}

const messages: ServerFrame = { type: "messages", after: 5, through: 6, data: ["six"] };

test("CL17 a mounted component connects, once for all of StrictMode, and renders its status", async () => {
  const { rooms, render } = rendering();
  render({});
  const peer = await opened();
  act(() => peer.welcome());
  expect(rooms.at(-1)).toMatchObject({ status: "open", position: { epoch: "e", seq: 5 } });
  expect(new Set(rooms.slice(2).map((room) => room.socket)).size).toBe(1);
  act(() => root.unmount());
  expect(peer.closedWith).toEqual({ code: 1000, reason: "" });
  expect(network.sockets.filter((socket) => socket.closedWith === null)).toEqual([]);
});

test("CL17 handlers are those of the last render; messages render nothing", async () => {
  const { rooms, render } = rendering();
  const first: unknown[] = [];
  const second: unknown[] = [];
  render({ onMessage: ({ data }) => first.push(data) });
  const peer = await opened();
  act(() => peer.welcome());
  render({ onMessage: ({ data }) => second.push(data) });
  const renders = rooms.length;
  act(() => peer.say(messages));
  expect([first, second]).toEqual([[], ["six"]]);
  expect(rooms).toHaveLength(renders);
  expect(rooms.at(-1)?.position?.seq).toBe(6);
});

test("CL17 every event has its handler, and closing is heard", async () => {
  const { render } = rendering();
  const heard: string[] = [];
  const hear = (event: Event): void => void heard.push(event.type);
  const handlers = { onOpen: hear, onMessage: hear, onClose: hear, onError: hear };
  render({ ...handlers, onRecovered: hear, onReset: hear, onLocal: hear });
  const first = await opened();
  heard.length = 0;
  act(() => first.welcome());
  act(() => first.say({ type: "local", data: "l" }));
  act(() => first.drop(1006));
  const second = await opened();
  act(() => second.welcome({ recovered: true }));
  act(() => void second.dispatchEvent(new Event("error")));
  const third = await opened();
  act(() => third.welcome({ epoch: "f" }));
  act(() => root.unmount());
  expect(heard).toEqual([
    "open",
    "message",
    "local",
    "close",
    "open",
    "recovered",
    "close",
    "error",
    "open",
    "reset",
    "close",
  ]);
});

test("CL17 another room is another socket; the old one closes", async () => {
  const { rooms, render } = rendering();
  render({});
  const first = await opened();
  act(() => first.welcome());
  const { socket } = rooms.at(-1) ?? {};
  render({ room: "other" });
  const second = await opened();
  expect(first.closedWith).not.toBeNull();
  expect(second.url).toContain("/parties/router/other");
  expect(second.query).not.toHaveProperty("since");
  expect(rooms.at(-1)?.socket).not.toBe(socket);
});

test("CL17 another query is another connection of the same socket, which resumes", async () => {
  const { rooms, render } = rendering();
  render({ query: { token: "old" } });
  const first = await opened();
  act(() => first.welcome());
  const { socket } = rooms.at(-1) ?? {};
  render({ query: { token: "old" } });
  expect(first.closedWith).toBeNull();
  render({ query: { token: "new" } });
  const second = await opened();
  expect(second.query).toMatchObject({ token: "new", epoch: "e", since: "5" });
  expect(rooms.at(-1)?.socket).toBe(socket);
});

test("CL17 a query that is a function is asked at every connection, as of the last render", async () => {
  const { render } = rendering();
  render({ query: () => ({ token: "old" }) });
  const first = await opened();
  expect(first.query).toMatchObject({ token: "old" });
  act(() => first.welcome());
  render({ query: async () => ({ token: "new" }) });
  expect(first.closedWith).toBeNull();
  act(() => first.drop(1006));
  expect((await opened()).query).toMatchObject({ token: "new" });
});

test("CL17 other topics are told to the shard", async () => {
  const { render } = rendering();
  render({ topics: ["a"] });
  const peer = await opened();
  expect(peer.query).toMatchObject({ topics: "a" });
  act(() => peer.welcome());
  render({ topics: ["a"] });
  render({ topics: ["a", "b:*"] });
  render({});
  const told = peer.frames.filter((frame) => frame.type === "subscribe");
  expect(told.slice(-2)).toEqual([
    { type: "subscribe", topics: ["a", "b:*"] },
    { type: "subscribe", topics: [] },
  ]);
});

test("CL17 a room that is not enabled is closed, and keeps its position", async () => {
  const { rooms, render } = rendering();
  render({ enabled: false });
  expect(rooms.at(-1)?.status).toBe("idle");
  expect(network.sockets).toEqual([]);
  render({});
  const first = await opened();
  act(() => first.welcome());
  render({ enabled: false });
  expect(first.closedWith).not.toBeNull();
  expect(rooms.at(-1)?.status).toBe("stopped");
  render({});
  expect((await opened()).query).toMatchObject({ since: "5" });
});

test("CL17 on a server nothing connects", () => {
  const Page = (): ReactNode => useRoom({ room: "lobby", WebSocket: network.WebSocket }).status;
  expect(renderToString(<Page />)).toBe("idle");
  expect(network.sockets).toEqual([]);
});
