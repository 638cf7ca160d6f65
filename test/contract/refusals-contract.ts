/** Bad input: what it is answered, and that the room goes on as if it had not come. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { RoomsHost } from "./host.ts";
import { expectNothing, expectProblem, TestRoom } from "./test-room.ts";

const mebibyte = 1024 * 1024;

export function describeRefusals(host: RoomsHost): void {
  describe("refusals", () => {
    let room: TestRoom;

    beforeEach(() => {
      room = new TestRoom(host);
    });

    afterEach(async () => {
      const { seq } = await room.status();
      const socket = await room.join();
      expect(await room.deliver("goes on")).toMatchObject({ seq: seq + 1 });
      expect(await socket.received(1)).toEqual(["goes on"]);
    });

    test("NM1, HT7 a name that breaks the grammar is refused", async () => {
      const names = [
        "x".repeat(129),
        "a%20b",
        "a%2Fb",
        "a%2fb",
        "a%2e",
        "%00",
        "%C3%BC",
        "a@b",
        "a%",
        "a,b",
        "%E2",
      ];
      for (const name of names) {
        const path = `/parties/router/${name}`;
        expectProblem(await host.request(path), 400, "malformed-name");
        expectProblem(
          await host.request(path, { method: "POST", body: "x" }),
          400,
          "malformed-name",
        );
        const { refused } = await host.upgrade(path);
        if (refused === null) throw new Error(`a socket opened at ${path}`);
        expectProblem(refused, 400, "malformed-name");
      }
      const longest = `/parties/router/${"x".repeat(128)}`;
      expect(await host.request(longest)).toMatchObject({ status: 200 });
    });

    test("NM2 a room of a type that is not declared is refused", async () => {
      for (const name of ["nosuch:room", "Default:room", ":room", "__proto__:room"]) {
        const path = `/parties/router/${name}`;
        expectProblem(await host.request(path), 404, "unknown-room-type");
        const post = await host.request(path, { method: "POST", body: "x" });
        expectProblem(post, 404, "unknown-room-type");
        const { refused } = await host.upgrade(path);
        if (refused === null) throw new Error(`a socket opened at ${path}`);
        expectProblem(refused, 404, "unknown-room-type");
      }
    });

    test("HT3 a body over the limit is refused, with its length declared and without", async () => {
      const piece = new Uint8Array(64 * 1024).fill(120);
      const pieces = Array.from({ length: 16 }, () => piece);
      const last = Uint8Array.of(120);
      const whole = new Uint8Array(mebibyte + 1).fill(120);
      expectProblem(await room.post(whole), 413, "payload-too-large");
      expectProblem(await room.post([...pieces, last]), 413, "payload-too-large");
      const binary = { "content-type": "application/octet-stream" };
      expectProblem(await room.post(whole, { headers: binary }), 413, "payload-too-large");
      expect(await room.status()).toMatchObject({ seq: 0 });
      expect(await room.publish(pieces)).toMatchObject({ seq: 1 });
    });

    test("HT3 a body of too many messages is refused whole", async () => {
      const headers = { "content-type": "application/x-ndjson" };
      const lines = "1\n".repeat(10_001);
      expectProblem(await room.post(lines, { headers }), 413, "payload-too-large");
      expect(await room.status()).toMatchObject({ seq: 0 });
    });

    test("HT4 a body that is not UTF-8, or holds no message, is refused", async () => {
      const ndjson = { "content-type": "application/x-ndjson" };
      for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0x61, 0x80]]) {
        const body = Uint8Array.from(bytes);
        expectProblem(await room.post(body), 400, "malformed-body");
        expectProblem(await room.post(body, { headers: ndjson }), 400, "malformed-body");
      }
      expectProblem(await room.post("", { headers: ndjson }), 400, "malformed-body");
      expectProblem(await room.post("\n\r\n\n", { headers: ndjson }), 400, "malformed-body");
      expect(await room.status()).toMatchObject({ seq: 0 });
    });

    test("HT4 a malformed query of a write is refused", async () => {
      for (const query of ["volatile=yes", "volatile=", "wait=durable", "wait=", "wait=1"]) {
        expectProblem(await room.post("x", { query }), 400, "malformed-query");
      }
      expect(await room.publish("x", { query: "volatile=0" })).toMatchObject({ seq: 1 });
    });

    test("HT4, DL11 a malformed idempotency key is refused, and any on a volatile write", async () => {
      for (const key of ["", "x".repeat(256), "tab\tbed"]) {
        const headers = { "idempotency-key": key };
        expectProblem(await room.post("x", { headers }), 400, "malformed-header");
      }
      const headers = { "idempotency-key": "x" };
      const volatile = await room.post("x", { headers, query: "volatile=1" });
      expectProblem(volatile, 400, "malformed-header");
      expect(await room.status()).toMatchObject({ seq: 0 });
      const longest = { "idempotency-key": "x".repeat(255) };
      expect(await room.publish("x", { headers: longest })).toMatchObject({ seq: 1 });
    });

    test("HT4 headers that are too large are refused", async () => {
      const headers = { "x-large": "x".repeat(40 * 1024) };
      expectProblem(await host.request(room.path, { headers }), 431, "headers-too-large");
      expectProblem(await room.post("x", { headers }), 431, "headers-too-large");
      expect(await room.status()).toMatchObject({ seq: 0 });
    });

    test("HT6 a method that a room does not take is answered with those that it takes", async () => {
      for (const method of ["PUT", "PATCH"]) {
        const answer = await host.request(room.path, { method });
        expectProblem(answer, 405, "method-not-allowed");
        expect(answer.headers.get("allow")).toBe("GET, HEAD, POST, DELETE, OPTIONS");
      }
    });

    test("HT11 HEAD is answered like GET, without a body", async () => {
      for (const path of [room.path, `${room.path}/messages`, `${room.path}/nowhere`]) {
        const get = await host.request(path);
        const head = await host.request(path, { method: "HEAD" });
        expect([head.status, head.text]).toEqual([get.status, ""]);
        for (const name of ["content-type", "access-control-allow-origin"]) {
          expect(head.headers.get(name)).toBe(get.headers.get(name));
        }
      }
    });

    test("HT10 a slash at the end of a path changes nothing", async () => {
      expect(await host.request(`${room.path}/`)).toMatchObject({ status: 200 });
      expect(await host.request(`${room.path}/messages/`)).toMatchObject({ status: 200 });
      const post = await host.request(`${room.path}/`, { method: "POST", body: "x" });
      expect(post.status).toBe(200);
      const { socket } = await host.upgrade(`${room.path}/`);
      if (socket === null) throw new Error("no socket was opened");
      await room.deliver("y");
      expect(await socket.receivedThrough("y")).toContain("y");
      socket.close();
    });

    test("HT12 a WebSocket is not opened where messages are read", async () => {
      const { refused } = await host.upgrade(`${room.path}/messages`);
      if (refused === null) throw new Error("a socket was opened");
      expectProblem(refused, 400, "malformed-header");
    });

    test("HT6 a path that leads nowhere is answered 404, whatever is asked", async () => {
      for (const path of ["/messages/x", "//", "/~call", "/a/../b"]) {
        expectProblem(await host.request(room.path + path), 404, "not-found");
        const post = await host.request(room.path + path, { method: "POST", body: "x" });
        expectProblem(post, 404, "not-found");
      }
      const paths = [
        "/",
        "/parties",
        "/parties/",
        "/parties/router",
        "/parties/nosuch/room",
        "/parties/Router/room",
        "/favicon.ico",
      ];
      for (const path of paths) {
        expectNothing(host, await host.request(path));
        expectNothing(host, await host.request(path, { method: "POST", body: "x" }));
      }
    });

    test("HT6 a preflight is answered with what a page may send", async () => {
      const answer = await host.request(room.path, {
        method: "OPTIONS",
        headers: {
          origin: "https://page.test",
          "access-control-request-method": "POST",
          "access-control-request-headers": "idempotency-key",
        },
      });
      expect(answer.status).toBe(204);
      expect(answer.headers.get("access-control-allow-origin")).toBe("*");
      expect(answer.headers.get("access-control-allow-methods")).toContain("POST");
      expect(answer.headers.get("access-control-allow-headers")).toContain("idempotency-key");
    });
  });
}
