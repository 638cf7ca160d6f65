import { expect, test } from "vitest";
import type { RoomId } from "../protocol/names.ts";
import { isServerAddress, roomUrl } from "./server-address.ts";

const room = "game:1" as RoomId;

test("SV1 an address is a host name or a URL, and a port takes the place of its own", () => {
  const cases: readonly [address: string, port: number | undefined, url: string][] = [
    ["game.example.com", undefined, "ws://game.example.com/parties/router/game:1"],
    ["10.0.0.7", 3_000, "ws://10.0.0.7:3000/parties/router/game:1"],
    ["localhost:3000", undefined, "ws://localhost:3000/parties/router/game:1"],
    ["[::1]:80", 3_000, "ws://[::1]:3000/parties/router/game:1"],
    ["wss://game.example.com", undefined, "wss://game.example.com/parties/router/game:1"],
    ["wss://game.example.com/", 8_443, "wss://game.example.com:8443/parties/router/game:1"],
    ["https://game.example.com", 443, "https://game.example.com/parties/router/game:1"],
    ["http://game.example.com", 80, "http://game.example.com/parties/router/game:1"],
  ];
  for (const [address, port, url] of cases) {
    expect(isServerAddress(address)).toBe(true);
    expect(roomUrl(address, port, room)).toBe(url);
  }
});

test("SV1 whatever else is no address", () => {
  const cases = [
    "",
    " ",
    "a b",
    "ftp://game.example.com",
    "javascript:alert(1)",
    "ws://",
    "ws:///path",
    "game.example.com/path",
    "ws://game.example.com/path",
    "ws://game.example.com?x=1",
    "ws://game.example.com#x",
    "ws://user:secret@game.example.com",
    "game.example.com:99999",
    "game.example.com\n",
    "ws://[::1",
    "\\\\host",
  ];
  for (const address of cases) {
    expect([address, isServerAddress(address)]).toEqual([address, false]);
    expect(roomUrl(address, 1, room)).toBeNull();
  }
});
