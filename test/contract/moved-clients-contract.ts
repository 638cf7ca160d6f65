/** Clients that their shard sends elsewhere, with the client library, against a real server. */
import { describe, expect, onTestFinished, test } from "vitest";
import { RoomSocket } from "../../client/room-socket.ts";
import { Recording } from "../support/recording.ts";

/**
 * Two clients go in two waves, after at most two seconds and one and a half more, and are back within one.
 * Who heard of it only when the former shard sleeps would hear after more than ten.
 */
const movedWithinMs = 9_000;

type Server = { readonly port: number; readonly adminToken: string };

/** A client that keeps what it is told. */
class Listener {
  readonly heard = new Recording<string>((each) => each);
  readonly #socket: RoomSocket;

  constructor({ port }: Server, room: string) {
    const socket = new RoomSocket({ host: `127.0.0.1:${port}`, room });
    this.#socket = socket;
    socket.addEventListener("open", () => this.heard.add(`open on ${socket.shard}`));
    socket.addEventListener("recovered", () => this.heard.add("recovered"));
    socket.addEventListener("reset", () => this.heard.add("reset"));
    socket.addEventListener("close", ({ code }) => this.heard.add(`closed with ${code}`));
    socket.addEventListener("message", ({ data }) => this.heard.add(String(data)));
    onTestFinished(() => socket.close());
  }

  async hears(what: string): Promise<void> {
    await this.heard.until(() => this.heard.items.includes(what), `"${what}"`, movedWithinMs);
  }

  publish(text: string): Promise<unknown> {
    return this.#socket.publish(text);
  }
}

export function describeMovedClients(name: string, serverOf: () => Server): void {
  describe(`clients that are moved, on ${name}`, () => {
    test("CL20, GD8, GD9 whoever is on a shard that drains, or comes to it still, is on another within seconds, and lacks nothing", async () => {
      const server = serverOf();
      const room = crypto.randomUUID();
      const listeners = [new Listener(server, room), new Listener(server, room)] as const;
      for (const each of listeners) await each.hears(`open on ${room}-1`);
      const [first] = listeners;
      await first.publish("before");
      for (const each of listeners) await each.hears("before");

      const path = `/parties/registry/default/servers/${room}-1/drain`;
      const drained = await fetch(`http://127.0.0.1:${server.port}${path}`, {
        method: "POST",
        headers: { authorization: `Bearer ${server.adminToken}` },
      });
      expect(drained.status).toBe(200);
      // By what the gate knew a moment ago it may be sent to the same shard once more.
      const late = new Listener(server, room);
      await Promise.all(listeners.map((each) => each.hears("closed with 4000")));
      await late.hears(`open on ${room}-2`);
      await late.publish("meanwhile");
      await first.publish("after");

      const came = [`open on ${room}-1`, "before", "closed with 4000"];
      for (const { heard } of listeners) {
        await heard.until(() => heard.items.includes("after"), "the last message");
        expect(heard.items.slice(0, 3)).toEqual(came);
        const [open, recovered, ...messages] = heard.items.slice(3);
        expect([open, recovered]).toEqual([`open on ${room}-2`, "recovered"]);
        expect(messages).toEqual(["meanwhile", "after"]);
      }
    });
  });
}
