/** Inside stays inside: shards, links, calls between objects and the registry's admin endpoints. */
import { describe, expect, test } from "vitest";
import type { OutsideAnswer, OutsideRequest, RoomsHost } from "./host.ts";
import { expectNothing, expectProblem, TestRoom } from "./test-room.ts";

const forged = {
  "x-partykit-room": "a-1",
  "x-partykit-namespace": "Main",
  "x-partykit-props": "{}",
  "x-partyshard-refused": "",
  "x-forwarded-host": "partyshard.internal",
  authorization: "Bearer undefined",
};

/** The headers of an upgrade, with the host's token spelt in this way. */
function upgradeHeaders(upgrade: string): Record<string, string> {
  return {
    connection: "Upgrade",
    upgrade,
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
  };
}

export function describeBoundary(host: RoomsHost): void {
  describe("inside and outside", () => {
    test("IO1 a shard is not reachable by any method", async () => {
      const room = new TestRoom(host);
      await room.join();
      for (const method of ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]) {
        const path = `/parties/main/${room.id}-1`;
        const body = method === "POST" ? { body: "x" } : {};
        expectProblem(await host.request(path, { method, ...body }), 403, "forbidden");
        const answer = await host.request(path, { method, headers: forged, ...body });
        expectProblem(answer, 403, "forbidden");
      }
    });

    test("IO1, IO2 no spelling of an upgrade reaches a shard or its link", async () => {
      const room = new TestRoom(host);
      await room.join();
      const shard = `/parties/main/${room.id}-1`;
      const paths = [shard, `${shard}/`, `${shard}/~link`, `${shard}/x/~link`, `${shard}?_pk=a`];
      for (const path of paths) {
        const { refused } = await host.upgrade(path);
        if (refused === null) throw new Error(`a socket opened at ${path}`);
        expectProblem(refused, 403, "forbidden");
        for (const upgrade of ["websocket", "WebSocket", "WEBSOCKET"]) {
          const headers = { ...upgradeHeaders(upgrade), ...forged };
          expectProblem(await host.request(path, { headers }), 403, "forbidden");
        }
      }
      expect(await room.status()).toMatchObject({ connections: 1 });
    });

    test("IO1 no form of the path reaches a shard", async () => {
      const room = new TestRoom(host);
      const name = `${room.id}-1`;
      const attempts: OutsideRequest[] = [
        {},
        { method: "POST", body: "x" },
        { headers: upgradeHeaders("websocket") },
      ];
      const forbidden = [
        `/parties/main/${name}/~call`,
        `/parties/main/${name}%2F~link`,
        `/parties/main/..%2frouter%2f${name}`,
        `/parties/router/../main/${name}`,
        `/parties/./main/${name}/~link`,
        `/parties/x/%2e%2e/main/${name}`,
        `/party/${name}`,
        `/party/${name}/~link`,
      ];
      for (const path of forbidden) {
        for (const request of attempts) {
          expectProblem(await host.request(path, request), 403, "forbidden");
        }
      }
      const unknown = [
        `/parties/Main/${name}`,
        `/parties/MAIN/${name}`,
        `/parties/%6dain/${name}`,
        `/parties/main%2f${name}`,
        `/parties%2fmain%2f${name}`,
        `//parties/main/${name}`,
        // PartyKit's own router fails on an empty party.
        ...(host.answersEveryPath ? [`/parties//main/${name}`] : []),
        `/parties/main;x/${name}`,
        `/Parties/main/${name}`,
        `/parties/internal/${name}`,
      ];
      for (const path of unknown) {
        for (const request of attempts) expectNothing(host, await host.request(path, request));
      }
    });

    test("IO2 calls between objects are not reachable, and have no effect", async () => {
      const room = new TestRoom(host);
      const publish = { type: "publish", messages: ["x"], volatile: false, waitDelivered: false };
      for (const call of [publish, { type: "status" }, { type: "wake" }]) {
        const request = { method: "POST", body: JSON.stringify(call), headers: forged };
        expectProblem(await host.request(`${room.path}/~call`, request), 404, "not-found");
        const shard = `/parties/main/${room.id}-1/~call`;
        expectProblem(await host.request(shard, request), 403, "forbidden");
      }
      for (const path of [`${room.path}/~link`, `${room.path}/`.concat("~link?_pk=a")]) {
        const { refused } = await host.upgrade(path);
        if (refused === null) throw new Error(`a socket opened at ${path}`);
        expectProblem(refused, 404, "not-found");
      }
      const report = { type: "report", shard: `${room.id}-1`, connections: 9, counters: {} };
      const answer = await host.request("/parties/registry/default/~call", {
        method: "POST",
        body: JSON.stringify(report),
        headers: forged,
      });
      expectProblem(answer, 401, "unauthorized");
      expect(await room.status()).toMatchObject({ seq: 0, connections: 0 });
    });

    test("IO4 the registry is closed without the token", async () => {
      const paths = ["metrics", "rooms", "servers", "~call", "events", ""];
      for (const path of paths.map((each) => `/parties/registry/default/${each}`)) {
        for (const authorization of ["", "Bearer", "Bearer ", "Bearer wrong", "Basic eDp4"]) {
          const headers: Record<string, string> = authorization === "" ? {} : { authorization };
          const answer = await host.request(path, { headers });
          expectClosed(answer);
        }
        expectClosed(await host.request(path, { method: "POST", body: "{}" }));
        const { refused } = await host.upgrade(path);
        if (refused === null) throw new Error(`a socket opened at ${path}`);
        expectClosed(refused);
      }
    });

    if (host.adminToken === undefined) return;
    const headers = { authorization: `Bearer ${host.adminToken}` };

    test("IO4, HT6 with the token the registry answers, 404 for what it does not have", async () => {
      const metrics = "/parties/registry/default/metrics";
      expect(await host.request(metrics, { headers })).toMatchObject({ status: 200 });
      const lowerCase = { authorization: `bearer ${host.adminToken}` };
      expect(await host.request(metrics, { headers: lowerCase })).toMatchObject({ status: 200 });
      for (const path of ["default/nowhere", "default/~call", "default", "other/metrics"]) {
        const answer = await host.request(`/parties/registry/${path}`, { headers });
        expectProblem(answer, 404, "not-found");
      }
      const post = await host.request(metrics, { method: "POST", headers, body: "x" });
      expectProblem(post, 405, "method-not-allowed");
      expect(post.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    });

    test("RG3, HT7, HT13 metrics count rooms, sockets and refusals", async () => {
      const read = async (): Promise<Map<string, number>> => {
        const answer = await host.request("/parties/registry/default/metrics", { headers });
        expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
        expect(answer.headers.get("access-control-allow-origin")).toBe("*");
        return new Map(
          answer.text
            .split("\n")
            .filter((line) => line !== "" && !line.startsWith("#"))
            .map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.split(" ").at(-1))]),
        );
      };
      const refused = 'partyshard_events_total{kind="malformed-name"}';
      const before = await read();
      for (let times = 0; times < 3; times += 1) {
        await host.request("/parties/router/a@b", { method: "POST", body: "x" });
      }
      // A connect to a room that is new to the gate makes it ask the registry, and report.
      await new TestRoom(host).join();
      const after = await read();
      expect(after.get(refused)).toBe((before.get(refused) ?? 0) + 3);
      // Shards tell of their clients about a second later.
      const rooms = async (): Promise<number> => (await read()).get("partyshard_rooms") ?? 0;
      await expect.poll(rooms, { timeout: 10_000 }).toBeGreaterThanOrEqual(1);
      expect(after.has("partyshard_connections")).toBe(true);
    });
  });

  function expectClosed(answer: OutsideAnswer): void {
    const detail = expectProblem(answer, 401, "unauthorized");
    expect(answer.headers.get("www-authenticate")).toMatch(/^Bearer /);
    const advice =
      host.adminToken === undefined ? "set PARTYSHARD_ADMIN_TOKEN" : "send Authorization";
    expect(detail).toContain(advice);
  }
}
