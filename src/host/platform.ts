/** What both hosts have in common: the clock, chance, timers, and internal addresses. */
import { nanoid } from "nanoid";
import type { Clock, Entropy, Socket } from "../core/ports.ts";
import { encodeServerFrame } from "../protocol/client.ts";
import { parseSeatClaim, type SeatClaim } from "../protocol/calls.ts";
import { parseClientRequest, type ClientRequest } from "../protocol/client-request.ts";
import { encodePayload, type MessageData } from "../protocol/payload.ts";
import { success, type Result } from "../protocol/result.ts";
import { plainRequest } from "../shard/clients.ts";

export const clock: Clock = { now: () => Date.now() };

export const entropy: Entropy = { random: () => Math.random(), id: () => nanoid() };

/**
 * Path of a shard at which it takes a link. Nothing from outside reaches an object as it came, so
 * nobody else can name it.
 */
export const linkPath = "~link";

/** Environment variable that opens the admin API. */
export const adminTokenName = "PARTYSHARD_ADMIN_TOKEN";

/** The registry object that keeps the deployment's rooms. */
export const registryName = "default";

/** Keys that one `put` or `delete` takes at most (Cloudflare, Durable Objects, limits, 2026). */
const maxKeys = 128;

/** Writes without an `await` between them become durable together, so slices are as good as one. */
export function inSlices<Item>(items: readonly Item[], write: (slice: Item[]) => void): void {
  for (let start = 0; start < items.length; start += maxKeys) {
    write(items.slice(start, start + maxKeys));
  }
}

/** A call that waits for delivery takes five seconds; what takes three times that hangs. */
const callDeadlineMs = 15_000;

/** Rejects when a call to another object has no answer in time, so that nothing waits for ever. */
export async function withDeadline<Value>(call: Promise<Value>): Promise<Value> {
  let timer: ReturnType<typeof setTimeout> | null = null;
  const deadline = new Promise<never>((_, reject) => {
    const late = new Error(`no answer within ${callDeadlineMs} ms`);
    timer = setTimeout(() => reject(late), callDeadlineMs);
  });
  try {
    return await Promise.race([call, deadline]);
  } finally {
    if (timer !== null) clearTimeout(timer);
  }
}

/** Longest delay that a timer takes. */
const maxDelayMs = 2 ** 31 - 1;

/** One timer that can be set anew: the in-memory half of `Wakeups`. */
export class WakeTimer {
  readonly #wake: () => void;
  #timer: ReturnType<typeof setTimeout> | null = null;
  #at: number | null = null;

  constructor(wake: () => void) {
    this.#wake = wake;
  }

  set(at: number | null): void {
    if (at === this.#at) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#at = at;
    if (at === null) return;
    const delay = Math.min(Math.max(0, at - Date.now()), maxDelayMs);
    this.#timer = setTimeout(() => {
      this.#at = null;
      this.#wake();
    }, delay);
  }
}

/**
 * A client's headers without those that objects or their framework trust: a client must not be able
 * to set `x-partykit-props`, for one, which partyserver hands to `onStart`.
 */
export function outsideHeaders(headers: Headers): Headers {
  const trusted = [...headers.keys()].filter(isTrusted);
  if (trusted.length === 0) return headers;
  const kept = new Headers(headers);
  for (const name of trusted) kept.delete(name);
  return kept;
}

function isTrusted(name: string): boolean {
  return name.startsWith("x-partykit-") || name.startsWith("x-partyshard-");
}

/** Tag of sockets that asked for more than payloads; the gate lets no client have a `~` in a tag. */
export const requestTag = "~request";

/** What a client asked for. The gate has checked it, and its URL stays with its socket. */
export function clientRequestOf(url: string): ClientRequest {
  // Most sockets ask for nothing, and need not have their URL taken apart.
  if (!/[?&](?:protocol|topics|session)=/.test(url)) return plainRequest;
  const parsed = parseClientRequest(new URL(url).searchParams);
  return parsed.ok ? parsed.value : plainRequest;
}

/** Header of an upgrade with a ticket that the gate has checked: the claim as JSON. */
export const seatHeader = "x-partyshard-seat";

/** What the client's ticket says, if it brought one. */
export function seatClaimOf(text: string | null): Result<SeatClaim | null, "malformed-call"> {
  return text === null ? success(null) : parseSeatClaim(text);
}

/** The id of the connection that an upgrade asks for; the gate has made sure that there is one. */
export function connectionOf(url: string): string {
  return new URL(url).searchParams.get("_pk") ?? "";
}

type RawConnection = {
  send(data: string | ArrayBuffer | ArrayBufferView): void;
  close(code: number, reason: string): void;
};

/**
 * The role's end of a socket that speaks protocol 1. What the room class sends on the connection
 * itself goes out as a `local` frame from here on.
 */
export function speakProtocol(connection: RawConnection): Socket {
  const send = connection.send.bind(connection);
  Object.defineProperty(connection, "send", {
    configurable: true,
    value: (data: string | ArrayBuffer | ArrayBufferView) => {
      const payload = encodePayload(toMessageData(data));
      send(encodeServerFrame({ type: "local", data: payload }));
    },
  });
  return { send, close: (code, reason) => connection.close(code, reason) };
}

/** A message as hosts hand it on, in the form that roles take. */
export function toMessageData(data: string | ArrayBuffer | ArrayBufferView): MessageData {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** The write as a class with `onRequest` and no `onBroadcast` gets it. */
export function broadcastRequest(url: string, data: string | Uint8Array): Request {
  const type = typeof data === "string" ? "text/plain;charset=UTF-8" : "application/octet-stream";
  const body = data as string | Uint8Array<ArrayBuffer>;
  return new Request(url, { method: "POST", headers: { "content-type": type }, body });
}
