/**
 * A Worker that is a client: `/visit/ROOM` joins a room with a `RoomSocket` and answers with all that
 * happened to it, in the Worker itself or, with `?from=object`, in a Durable Object. Everything else
 * goes to the test app, so that the client finds the rooms where it was called.
 */
import { RoomSocket } from "../../../../client/room-socket.ts";
import { Recording } from "../../recording.ts";

interface Fetcher {
  fetch(request: Request): Promise<Response>;
}

type Env = {
  readonly ROOMS: Fetcher;
  readonly VISITORS: { getByName(name: string): Fetcher };
};

async function visit({ url }: Request): Promise<Response> {
  const { host, pathname, searchParams } = new URL(url);
  const publish = searchParams.get("publish") === "socket" ? "socket" : "http";
  const room = pathname.slice("/visit/".length);
  const quick = { minReconnectionDelay: 1, maxReconnectionDelay: 1 };
  const socket = new RoomSocket({ host, room, publish, ...quick });
  const happened = new Recording<string>((text) => text);
  const heard = (text: string, times = 1): Promise<void> =>
    happened.until(
      () => happened.items.filter((each) => each === text).length >= times,
      `"${text}" ${times} times`,
    );
  for (const type of ["open", "close", "recovered", "reset", "error"]) {
    socket.addEventListener(type, () => happened.add(type));
  }
  socket.addEventListener("message", ({ data }) => {
    happened.add(data instanceof ArrayBuffer ? new Uint8Array(data).join() : String(data));
    if (data === "throw") throw new Error("failed on purpose");
  });
  socket.addEventListener("statuschange", () => {
    throw new Error("failed on purpose");
  });

  await heard("open");
  await socket.publish("one");
  await socket.publish(new Uint8Array([1, 2, 3]));
  await socket.publish("throw");
  await socket.publish("two");
  await heard("two");
  // The shard's object ends, and with it the connection.
  socket.send("crash");
  await heard("open", 2);
  await socket.publish("three");
  await heard("three");
  socket.close();
  await fetch(socket.roomUrl.replace("ws", "http"), { method: "POST", body: "meanwhile" });
  socket.reconnect();
  await heard("meanwhile");
  socket.close();
  return Response.json(happened.items);
}

export class Visitor {
  fetch(request: Request): Promise<Response> {
    return visit(request);
  }
}

// The platform asks for it (Workers, "Module syntax").
export default {
  fetch(request: Request, { ROOMS, VISITORS }: Env): Promise<Response> {
    const { pathname, searchParams } = new URL(request.url);
    if (!pathname.startsWith("/visit/")) return ROOMS.fetch(request);
    const isObject = searchParams.get("from") === "object";
    return isObject ? VISITORS.getByName("visitor").fetch(request) : visit(request);
  },
};
