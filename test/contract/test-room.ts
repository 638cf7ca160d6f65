/** One room of a host under test: joining, publishing and asking for its status, in a test's words. */
import * as v from "valibot";
import { expect, onTestFinished } from "vitest";
import { ProtocolSocket } from "../support/protocol-socket.ts";
import type { RecordedSocket } from "../support/recorded-socket.ts";
import type { OutsideAnswer, OutsideRequest, RoomsHost, Upgraded } from "./host.ts";

const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const epoch = v.pipe(v.string(), v.minLength(1));

const receiptSchema = v.strictObject({
  room: v.string(),
  epoch,
  first: v.optional(count),
  seq: count,
  shards: v.strictObject({ delivered: count, pending: count }),
});
type Receipt = v.InferOutput<typeof receiptSchema>;

const statusSchema = v.strictObject({
  room: v.string(),
  type: v.string(),
  epoch,
  seq: count,
  connections: count,
  shards: v.array(
    v.strictObject({
      id: v.string(),
      status: v.picklist(["online", "draining", "offline"]),
      connections: count,
      capacity: count,
      acked: count,
      generation: count,
    }),
  ),
  history: v.strictObject({ first: count, last: count }),
  snapshot: v.nullable(v.strictObject({ seq: count, takenAt: count })),
  snapshotError: v.optional(v.string()),
});
type Status = v.InferOutput<typeof statusSchema>;

const readSchema = v.strictObject({
  epoch,
  after: count,
  through: count,
  recovered: v.boolean(),
  messages: v.array(
    v.union([
      v.strictObject({
        seq: count,
        data: v.string(),
        topic: v.optional(v.string()),
        at: v.pipe(v.number(), v.minValue(1_600_000_000_000)),
      }),
      v.strictObject({
        seq: count,
        base64: v.string(),
        topic: v.optional(v.string()),
        at: v.pipe(v.number(), v.minValue(1_600_000_000_000)),
      }),
    ]),
  ),
});
type Read = v.InferOutput<typeof readSchema>;

const problemSchema = v.strictObject({
  type: v.string(),
  title: v.pipe(v.string(), v.minLength(1)),
  status: v.number(),
  detail: v.pipe(v.string(), v.minLength(1)),
});

/** There is nothing at the path, as the app or the platform before it says. */
export function expectNothing(host: RoomsHost, answer: OutsideAnswer): void {
  if (host.answersEveryPath) expectProblem(answer, 404, "not-found");
  else expect(answer.status).toBe(404);
}

function expectJson(answer: OutsideAnswer): unknown {
  expect(`${answer.status} ${answer.text}`).toMatch(/^200 /);
  expect(answer.headers.get("content-type")).toBe("application/json");
  return JSON.parse(answer.text);
}

function expectDelivered({ shards }: Receipt): void {
  expect(shards.pending).toBe(0);
}

type PublishOptions = Pick<OutsideRequest, "headers"> & { readonly query?: string };

/** An upgrade or request was answered with this problem; returns its detail. */
export function expectProblem(answer: OutsideAnswer, status: number, code: string): string {
  expect(`${answer.status} ${answer.text}`).toMatch(new RegExp(`^${status} `));
  expect(answer.headers.get("content-type")).toBe("application/problem+json");
  expect(answer.headers.get("access-control-allow-origin")).toBe("*");
  const problem = v.parse(problemSchema, JSON.parse(answer.text));
  expect(problem).toMatchObject({ type: `urn:partyshard:problem:${code}`, status });
  return problem.detail;
}

export class TestRoom {
  readonly id: string;
  readonly path: string;
  readonly #host: RoomsHost;

  /** A room that no test has used before. */
  constructor(host: RoomsHost, type?: string) {
    const name = crypto.randomUUID();
    this.id = type === undefined ? name : `${type}:${name}`;
    this.path = `/parties/router/${this.id}`;
    this.#host = host;
  }

  /** Tries to get a socket; the test's end closes it. */
  async knock(query = ""): Promise<Upgraded> {
    const upgraded = await this.#host.upgrade(this.path + (query === "" ? "" : `?${query}`));
    onTestFinished(() => upgraded.socket?.close());
    return upgraded;
  }

  async join(query = ""): Promise<RecordedSocket> {
    const { socket, refused } = await this.knock(query);
    if (socket === null) throw new Error(`${this.id}: ${refused.status} ${refused.text}`);
    return socket;
  }

  joinMany(sockets: number): Promise<RecordedSocket[]> {
    return Promise.all(Array.from({ length: sockets }, () => this.join()));
  }

  /** Joins as a client of protocol 1 that has been welcomed. */
  async speak(query = ""): Promise<ProtocolSocket> {
    const socket = await this.join(query === "" ? "protocol=1" : `protocol=1&${query}`);
    const client = new ProtocolSocket(socket);
    await client.welcome();
    return client;
  }

  speakMany(clients: number, query = ""): Promise<ProtocolSocket[]> {
    return Promise.all(Array.from({ length: clients }, () => this.speak(query)));
  }

  /** Joins until another shard than `shard` takes the client: the least loaded one does. */
  async speakElsewhere(shard: string, query = ""): Promise<ProtocolSocket> {
    for (let attempts = 0; attempts < 20; attempts += 1) {
      const client = await this.speak(query);
      if ((await client.welcome()).shard !== shard) return client;
    }
    throw new Error(`${shard} took every client`);
  }

  /** Joins until the shard takes the client. */
  async speakAt(shard: string, query = ""): Promise<ProtocolSocket> {
    for (let attempts = 0; attempts < 20; attempts += 1) {
      const client = await this.speak(query);
      if ((await client.welcome()).shard === shard) return client;
    }
    throw new Error(`${shard} took no client`);
  }

  /** The log, read over HTTP. */
  async read(query = ""): Promise<Read> {
    const answer = await this.readAnswer(query);
    return v.parse(readSchema, expectJson(answer));
  }

  readAnswer(query = "", request: OutsideRequest = {}): Promise<OutsideAnswer> {
    return this.#host.request(`${this.path}/messages${query === "" ? "" : `?${query}`}`, request);
  }

  /** Publishes, and gives back whatever is answered. */
  post(body: OutsideRequest["body"], options: PublishOptions = {}): Promise<OutsideAnswer> {
    const query = options.query === undefined ? "" : `?${options.query}`;
    const request = { method: "POST", headers: options.headers ?? {} };
    return this.#host.request(
      this.path + query,
      body === undefined ? request : { ...request, body },
    );
  }

  /** Publishes, and expects the write to be taken. */
  async publish(body: OutsideRequest["body"], options: PublishOptions = {}): Promise<Receipt> {
    const answer = await this.post(body, options);
    return v.parse(receiptSchema, expectJson(answer));
  }

  /** Publishes, and expects every shard with clients to have it when this resolves. */
  async deliver(body: OutsideRequest["body"], options: PublishOptions = {}): Promise<Receipt> {
    const query = options.query === undefined ? "" : `${options.query}&`;
    const receipt = await this.publish(body, { ...options, query: `${query}wait=delivered` });
    expectDelivered(receipt);
    return receipt;
  }

  async status(): Promise<Status> {
    const answer = await this.#host.request(this.path);
    return v.parse(statusSchema, expectJson(answer));
  }
}
