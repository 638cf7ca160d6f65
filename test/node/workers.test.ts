/** `RoomSocket` in a Worker, over the runtime's own `WebSocket`: under a real `wrangler dev`. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { startWranglerDev, type WranglerDev } from "../support/wrangler-dev.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";

const apps = ["client", "workers"].map((name) => `test/support/apps/${name}/wrangler.jsonc`);
const storage = temporaryDirectory();
let server: WranglerDev | undefined;

beforeAll(async () => {
  server = await startWranglerDev(apps, storage.path);
});

afterAll(async () => {
  await server?.stop();
  storage.remove();
});

test.each(["worker", "object"].flatMap((from) => ["http", "socket"].map((by) => [from, by])))(
  "CL19, CL2, CL10 in a Worker (%s) a RoomSocket publishes by %s, and resumes when its shard was lost",
  async (from, publish) => {
    const query = `from=${from}&publish=${publish}`;
    const room = `open:${from}-${publish}`;
    const response = await fetch(`http://127.0.0.1:${server?.port}/visit/${room}?${query}`);
    expect(response.status).toBe(200);
    const happened = (await response.json()) as readonly string[];
    // How often it had to try while the shard was lost is nobody's business.
    const news = happened.filter((each) => each !== "close" && each !== "error");
    const [joined, afterTheCrash, afterReturning] = [
      "open, one, 1,2,3, throw, two",
      "open, recovered, three",
      "open, recovered, meanwhile",
    ];
    expect(news.join(", ")).toBe([joined, afterTheCrash, afterReturning].join(", "));
  },
);
