/** The room's log over HTTP: `GET …/messages`. */
import { describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectProblem, TestRoom } from "./test-room.ts";

const ndjson = { "content-type": "application/x-ndjson" };
const binary = { "content-type": "application/octet-stream" };

export function describeReading(host: RoomsHost): void {
  describe("reading the log", () => {
    test("PR14 a room without messages has none", async () => {
      const room = new TestRoom(host, "wide");
      const empty = { after: 0, through: 0, recovered: true, messages: [] };
      expect(await room.read()).toMatchObject(empty);
      const { epoch } = await room.status();
      expect(await room.read(`epoch=${epoch}&since=0`)).toEqual({ ...empty, epoch });
    });

    test("PR14 every message has its number, its data, its topic and its time", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("text");
      await room.publish(Uint8Array.of(0, 255), { headers: binary, query: "topic=a:b" });
      await room.publish("lost", { query: "volatile=1" });
      await room.publish("c\n\n\td", { headers: ndjson, query: "topic=c" });
      const at = expect.any(Number) as number;
      expect(await room.read()).toEqual({
        epoch,
        after: 0,
        through: 4,
        recovered: true,
        messages: [
          { seq: 1, data: "text", at },
          { seq: 2, base64: "AP8=", topic: "a:b", at },
          { seq: 3, data: "c", topic: "c", at },
          { seq: 4, data: "\td", topic: "c", at },
        ],
      });
    });

    test("PR14 a position and a limit cut the log, also within a batch", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("1\n2\n3\n4", { headers: ndjson });
      await room.publish("5");
      const page = async (since: number, limit: number) => {
        const { after, through, recovered, messages } = await room.read(
          `epoch=${epoch}&since=${since}&limit=${limit}`,
        );
        return [after, through, recovered, messages.map(({ seq }) => seq)];
      };
      expect(await page(0, 2)).toEqual([0, 2, true, [1, 2]]);
      expect(await page(2, 2)).toEqual([2, 4, true, [3, 4]]);
      expect(await page(4, 2)).toEqual([4, 5, true, [5]]);
      expect(await page(5, 2)).toEqual([5, 5, true, []]);
      expect(await page(1, 1_000)).toEqual([1, 5, true, [2, 3, 4, 5]]);
    });

    test("PR14 a hundred messages are given when nothing is said", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("x\n".repeat(150), { headers: ndjson });
      const first = await room.read();
      expect([first.through, first.messages.length]).toEqual([100, 100]);
      const rest = await room.read(`epoch=${epoch}&since=${first.through}`);
      expect(rest).toMatchObject({ after: 100, through: 150, recovered: true });
      expect(rest.messages.map(({ seq }) => seq)).toEqual(
        Array.from({ length: 50 }, (_, index) => index + 101),
      );
    });

    test("PR14, PR3 a position that is not the room's is not recovered", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("1\n2", { headers: ndjson });
      expect(await room.read(`epoch=${epoch}&since=3`)).toEqual({
        epoch,
        after: 2,
        through: 2,
        recovered: false,
        messages: [],
      });
      for (const since of [0, 1, 2, 3]) {
        expect(await room.read(`epoch=another&since=${since}`)).toMatchObject({
          epoch,
          after: 0,
          through: 2,
          recovered: false,
          messages: [{ data: "1" }, { data: "2" }],
        });
      }
    });

    test("PR14, HT4, HT6 impossible queries and methods are refused", async () => {
      const room = new TestRoom(host, "wide");
      const { epoch } = await room.publish("one");
      const queries = [
        ...["0", "1001", "-1", "1.5", "x", "", "1e2", "100000"].map((limit) => `limit=${limit}`),
        `epoch=${epoch}`,
        "since=0",
        "epoch=&since=0",
        `epoch=${"x".repeat(65)}&since=0`,
        `epoch=${epoch}&since=-1`,
        `epoch=${epoch}&since=x`,
      ];
      for (const query of queries) {
        expectProblem(await room.readAnswer(query), 400, "malformed-query");
      }
      for (const method of ["POST", "PUT", "DELETE"]) {
        const answer = await room.readAnswer("", { method });
        expectProblem(answer, 405, "method-not-allowed");
        expect(answer.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
      }
      expect(await room.readAnswer("", { method: "OPTIONS" })).toMatchObject({ status: 204 });
      const unknown = await host.request("/parties/router/nosuch:room/messages");
      expectProblem(unknown, 404, "unknown-room-type");
      const malformed = await host.request("/parties/router/a@b/messages");
      expectProblem(malformed, 400, "malformed-name");
    });

    test("PR14, IO2 the log is open to pages of other origins, like the rest of the room", async () => {
      const room = new TestRoom(host, "wide");
      await room.publish("one");
      const answer = await room.readAnswer("", { headers: { origin: "https://page.test" } });
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
    });
  });
}
