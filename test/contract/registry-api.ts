/** The registry of a host under test: asking its API and judging the answers, in a test's words. */
import * as v from "valibot";
import { expect } from "vitest";
import type { OutsideAnswer, RoomsHost } from "./host.ts";

const time = v.pipe(v.number(), v.minValue(1_600_000_000_000));
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const roomSchema = v.strictObject({
  roomId: v.string(),
  roomType: v.string(),
  serverId: v.string(),
  serverIds: v.pipe(v.array(v.string()), v.minLength(1)),
  address: v.pipe(v.string(), v.regex(/^wss?:\/\/[^/]+\/parties\/router\/[^/]+$/)),
  playerCount: count,
  maxPlayers: v.optional(count),
  isLocked: v.boolean(),
  metadata: v.record(v.string(), v.unknown()),
  createdAt: time,
  updatedAt: time,
});
export type Room = v.InferOutput<typeof roomSchema>;

const roomsSchema = v.strictObject({
  rooms: v.array(roomSchema),
  cursor: v.optional(v.string()),
});

const seatSchema = v.strictObject({
  id: v.string(),
  playerId: v.string(),
  expiresAt: time,
  ticket: v.string(),
});
const reservationSchema = v.strictObject({
  roomId: v.string(),
  serverId: v.string(),
  seat: v.strictObject({ id: v.string(), expiresAt: time }),
  ticket: v.string(),
  seats: v.pipe(v.array(seatSchema), v.minLength(1)),
  connect: v.strictObject({
    party: v.literal("router"),
    room: v.string(),
    query: v.record(v.string(), v.string()),
  }),
});
export type Reservation = v.InferOutput<typeof reservationSchema>;

function expectJson({ status, text, headers }: OutsideAnswer, wanted: number): unknown {
  expect(`${status} ${text}`).toMatch(new RegExp(`^${wanted} `));
  expect(headers.get("content-type")).toBe("application/json");
  expect(headers.get("access-control-allow-origin")).toBe("*");
  return JSON.parse(text);
}

type Asked = { readonly method?: string; readonly body?: unknown };

export class RegistryApi {
  readonly #host: RoomsHost;

  constructor(host: RoomsHost) {
    this.#host = host;
  }

  /** The answer to the bearer of the admin token. */
  ask(path: string, { method = "GET", body }: Asked = {}): Promise<OutsideAnswer> {
    const headers = { authorization: `Bearer ${this.#host.adminToken ?? ""}` };
    const whole = body === undefined ? {} : { body: JSON.stringify(body) };
    return this.#host.request(`/parties/registry/default/${path}`, { method, headers, ...whole });
  }

  async json(path: string, asked: Asked = {}, status = 200): Promise<unknown> {
    return expectJson(await this.ask(path, asked), status);
  }

  async create(body: Readonly<Record<string, unknown>>): Promise<Room> {
    return v.parse(roomSchema, await this.json("rooms", { method: "POST", body }, 201));
  }

  async room(id: string): Promise<Room> {
    return v.parse(roomSchema, await this.json(`rooms/${id}`));
  }

  async change(id: string, body: Readonly<Record<string, unknown>>): Promise<Room> {
    return v.parse(roomSchema, await this.json(`rooms/${id}`, { method: "PATCH", body }));
  }

  /** Every page of a list, one after the other. */
  async list(query: string): Promise<Room[]> {
    const rooms: Room[] = [];
    let cursor: string | undefined;
    do {
      const from = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const page = v.parse(roomsSchema, await this.json(`rooms?${query}${from}`));
      rooms.push(...page.rooms);
      ({ cursor } = page);
    } while (cursor !== undefined);
    return rooms;
  }

  async reserve(body: Readonly<Record<string, unknown>>): Promise<Reservation> {
    return v.parse(reservationSchema, await this.json("reserve", { method: "POST", body }));
  }
}
