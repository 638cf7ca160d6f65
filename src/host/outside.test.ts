import { expect, test } from "vitest";
import { regionOfRequest, upgradeHeaders, variable } from "./outside.ts";
import { seatHeader } from "./platform.ts";

test("IO3, RA10 the seat that a shard is told is the gate's word and never the client's", () => {
  const forged = new Headers({ "X-PartyShard-Seat": '{"id":"forged"}', cookie: "mine" });
  expect([...upgradeHeaders(forged, null)]).toEqual([["cookie", "mine"]]);
  const claim = { id: "s", player: '"\\{', expiresAt: 5 };
  const headers = upgradeHeaders(forged, claim);
  expect(JSON.parse(headers.get(seatHeader) ?? "")).toEqual(claim);
  expect(forged.get(seatHeader)).toBe('{"id":"forged"}');
  const none = new Headers();
  upgradeHeaders(none, claim);
  expect([...none]).toEqual([]);
});

test.each([
  [{ latitude: "48.9", longitude: "2.3" }, "weur"],
  [{ latitude: "-33.9", longitude: "151.2" }, "oc"],
  [{ latitude: "37", longitude: "-122" }, "wnam"],
  [{ latitude: "", longitude: "" }, null],
  [{ latitude: "north", longitude: "13.4" }, null],
  [{ latitude: 52.5, longitude: 13.4 }, null],
  [{}, null],
  [undefined, null],
  [null, null],
])("RA8 a request from %j is of the region %s", (cf, region) => {
  expect(regionOfRequest({ cf })).toBe(region);
});

test("RA9 a variable of the deployment is text, or is not set", () => {
  expect(["a", "b", "c"].map((name) => variable({ a: "x", b: 5 }, name))).toEqual([
    "x",
    undefined,
    undefined,
  ]);
});
