/** Events of the registry under a real `partykit dev`, over WebSocket and `text/event-stream`. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { WebSocket } from "ws";
import { startPartykitDev, type PartykitDev } from "../support/partykit-dev.ts";
import { Recording } from "../support/recording.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

/** An idle object is put to sleep after ten seconds; see the test of shards in partykit.test.ts. */
const asleepAfterMs = 15_000;
const token = "test-admin-token";
const headers = { authorization: `Bearer ${token}` };
const persist = temporaryDirectory();
let server: PartykitDev | undefined;

beforeAll(async () => {
  const variables = { PARTYSHARD_ADMIN_TOKEN: token };
  server = await startPartykitDev({ config: "partykit.json", persist: persist.path, variables });
});

afterAll(async () => {
  await server?.stop();
  persist.remove();
});

function api(path: string): string {
  return `http://127.0.0.1:${server?.port ?? 0}/parties/registry/default/${path}`;
}

async function announce(data: string): Promise<void> {
  const body = JSON.stringify({ type: "room:message", roomId: "lobby", data });
  const response = await fetch(api("events"), { method: "POST", headers, body });
  expect(response.status).toBe(200);
}

class Subscriber {
  readonly frames = new Recording<string>((frame) => frame);
  readonly closed: Promise<number>;
  readonly socket: WebSocket;

  constructor(pattern: string) {
    const url = api(`events?pattern=${encodeURIComponent(pattern)}`).replace("http", "ws");
    this.socket = new WebSocket(url, { headers });
    this.socket.on("message", (data: Buffer) => this.frames.add(data.toString()));
    this.closed = new Promise((resolve) => {
      this.socket.on("close", resolve);
    });
  }

  /** What came in this frame, counted from the first. */
  async frame(index: number): Promise<unknown> {
    await this.frames.until(() => this.frames.items.length > index, `frame ${index}`);
    return JSON.parse(this.frames.items[index] ?? "");
  }
}

test("EV1, EV6, EV7 a socket is sent what fits its pattern, also after the hub slept", async () => {
  const subscriber = new Subscriber("room:message,server:*");
  const first = await subscriber.frame(0);
  expect(first).toMatchObject({ type: "subscribed", pattern: "room:message,server:*" });
  await announce("one");
  const one = (await subscriber.frame(1)) as { readonly seq: number };
  expect(one).toMatchObject({ type: "room:message", roomId: "lobby", data: "one" });
  subscriber.socket.send(JSON.stringify({ type: "ack", seq: one.seq }));
  const { promise, resolve } = Promise.withResolvers<undefined>();
  setTimeout(() => resolve(undefined), asleepAfterMs);
  await promise;
  await announce("two");
  expect(await subscriber.frame(2)).toMatchObject({ data: "two", seq: one.seq + 1 });
  subscriber.socket.send("no acknowledgement");
  expect(await subscriber.closed).toBe(4500);
});

test("EV1 a stream is sent what fits its pattern, and its reader's leaving ends it", async () => {
  const leaving = new AbortController();
  const { signal } = leaving;
  const response = await fetch(api("events?pattern=room:message"), { headers, signal });
  expect(response.headers.get("content-type")).toBe("text/event-stream");
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  expect((await reader?.read())?.value).toContain("event: subscribed\n");
  await announce("streamed");
  expect((await reader?.read())?.value).toContain('"data":"streamed"');
  leaving.abort();
  await expect(reader?.read()).rejects.toThrow("abort");
});

test("EV1 a malformed pattern is refused", async () => {
  const response = await fetch(api("events?pattern=no%20pattern"), { headers });
  expect(response.status).toBe(400);
});
