/** Rooms on game servers that are killed or stopped, and `RoomSocket`: all as real processes. */
import { expect, onTestFinished, test, vi } from "vitest";
import { WebSocket } from "ws";
import { RoomSocket } from "../../client/room-socket.ts";
import { OutsideDeployment } from "../support/outside-deployment.ts";
import { Recording } from "../support/recording.ts";

const deployment = new OutsideDeployment();

async function startServer(id: string, snapshotIntervalMs: number) {
  const more = { SNAPSHOT_INTERVAL_MS: String(snapshotIntervalMs) };
  return (await deployment.startServer(id, more)).process;
}

/** A client in the room, and what it hears there: with a ticket it is the ticket's player. */
function join(room: string, ticket?: string) {
  const quick = { minReconnectionDelay: 50, maxReconnectionDelay: 200, minUptime: 0 };
  const who = ticket === undefined ? { id: "ann" } : { query: { ticket } };
  const socket = new RoomSocket({ host: deployment.host, room, WebSocket, ...who, ...quick });
  onTestFinished(() => socket.close());
  const heard = new Recording<string>((text) => text);
  socket.addEventListener("message", ({ data }) => heard.add(String(data)));
  const hears = (text: string): Promise<void> =>
    heard.until(() => heard.items.some((each) => each.includes(text)), text, 30_000);
  return { socket, hears };
}

/** What a room tells when somebody has come. */
function told(server: string, room: string, said: number): string {
  return JSON.stringify({ server, room, players: ["ann"], said });
}

async function ticketOf(room: string): Promise<string> {
  const { client } = deployment;
  await client.createRoom("outside", { roomId: room });
  const reserved = await client.reserve("outside", { roomId: room, playerId: "ann" });
  if (!reserved.ok) throw new Error(reserved.problem.detail);
  return reserved.value.ticket;
}

test.each(["a guest", "the bearer of a ticket"])(
  "GS20 a client of a server that was killed is in its room on another one, with the last snapshot's state: %s",
  async (who) => {
    const hasTicket = who !== "a guest";
    const room = `outside:killed-${hasTicket ? 1 : 2}`;
    const { client } = deployment;
    const doomed = await startServer("doomed", 1_000);
    const { socket, hears } = join(room, hasTicket ? await ticketOf(room) : undefined);
    await hears(told("doomed", room, 0));
    socket.send("one");
    socket.send("two");
    await hears("ann: two");
    const isStored = async (): Promise<boolean> => {
      const snapshot = await client.getSnapshot(room);
      return snapshot.ok && snapshot.value.state === 2;
    };
    await vi.waitUntil(isStored, { timeout: 30_000 });
    const other = await startServer("survivor", 1_000);
    await doomed.end("SIGKILL");
    await hears(told("survivor", room, 2));
    socket.send("three");
    await hears("ann: three");
    expect(await client.getRoom(room)).toMatchObject({ value: { serverId: "survivor" } });
    socket.close();
    await other.end("SIGTERM");
  },
);

test.each(["a guest", "the bearer of a ticket"])(
  "GS20 a client of a server that was stopped is in its room on another one, with the state as it was: %s",
  async (who) => {
    const hasTicket = who !== "a guest";
    const room = `outside:stopped-${hasTicket ? 1 : 2}`;
    const { client } = deployment;
    const leaving = await startServer("leaving", 0);
    const { socket, hears } = join(room, hasTicket ? await ticketOf(room) : undefined);
    await hears(told("leaving", room, 0));
    const other = await startServer("staying", 0);
    for (const text of ["one", "two", "three"]) socket.send(text);
    await hears("ann: three");
    const stopped = leaving.end("SIGTERM");
    await hears(told("staying", room, 3));
    await stopped;
    await leaving.printed(/^leaving has stopped$/);
    expect(await client.getRoom(room)).toMatchObject({ value: { serverId: "staying" } });
    socket.close();
    await other.end("SIGTERM");
  },
);
