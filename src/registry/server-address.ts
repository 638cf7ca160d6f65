/** Addresses of servers outside: what is one, and where a room is on it. */
import type { RoomId } from "../protocol/names.ts";

const schemes = new Set(["ws:", "wss:", "http:", "https:"]);

/**
 * Where clients of a room connect. `address` is a host name, or a URL of the schemes above without
 * path, query or user; `null` when it is neither.
 */
export function roomUrl(address: string, port: number | undefined, room: RoomId): string | null {
  const url = parseAddress(address);
  if (url === null) return null;
  if (port !== undefined) url.port = String(port);
  return `${url.protocol}//${url.host}/parties/router/${room}`;
}

export function isServerAddress(address: string): boolean {
  return parseAddress(address) !== null;
}

function parseAddress(address: string): URL | null {
  // The parser forgives white space and other slashes, which tell of a mistake.
  if (!/^(?:[a-z]+:\/\/)?[^\s\\@?#/]+\/?$/i.test(address)) return null;
  const text = address.includes("://") ? address : `ws://${address}`;
  try {
    const url = new URL(text);
    return schemes.has(url.protocol) && url.hostname !== "" ? url : null;
  } catch {
    return null;
  }
}
