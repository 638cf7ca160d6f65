/**
 * Those who come from outside, through real gates: publishers that try again, clients that connect,
 * operators that ask. Judges what they are answered; knows nothing of what happens inside.
 */
import type { GatePorts } from "../../src/gate/ports.ts";
import { Gate } from "../../src/gate/gate.ts";
import { parseClientRequest } from "../../src/protocol/client-request.ts";
import { mayReconnect } from "../../src/protocol/close-codes.ts";
import type { Client } from "./client.ts";
import { Violation, type Outlet } from "./environment.ts";
import { room, type World } from "./world.ts";

export type PublishKind =
  | "plain"
  | "binary"
  | "many"
  | "volatile"
  | "delivered"
  | "keyed"
  /** Two writes with one key and different messages, at the same time. */
  | "conflict"
  /** The last key that was answered, once more. */
  | "again";

/** A write, and what became of it. */
type Write = {
  readonly kind: PublishKind;
  readonly texts: readonly string[];
  readonly topic: string | null;
  readonly key: string | null;
  status: number | null;
};

/** A gate's isolate; it has no durable writes, so nothing it sends waits. */
type Isolate = { readonly gate: Gate; readonly ports: GatePorts };

/** An upgrade that a shard took. `Response` itself cannot have the status 101 here. */
export class UpgradeResponse extends Response {
  readonly client: Client;

  constructor(client: Client) {
    super(null);
    this.client = client;
  }
}

const address = `http://simulation/parties/router/${room}`;
/** A key is tried again for less time than it is remembered. */
const retryForMs = 200_000;

export class Outside {
  readonly writes: Write[] = [];
  /** Requests that have not been answered. */
  unanswered = 0;
  readonly #world: World;
  readonly #isolates: Isolate[];
  #texts = 0;
  #lastKeyed: { write: Write; until: number } | null = null;
  /** Clients come back when they are told to. */
  isReconnecting = true;

  constructor(world: World) {
    this.#world = world;
    this.#isolates = world.gates.map((gate) => this.#isolate(gate));
    world.onClientClosed = (client, code) => this.#handleClosed(client, code);
  }

  publish(kind: PublishKind, padding: number, topic: string | null = null): void {
    if (kind === "again") {
      const last = this.#lastKeyed;
      if (last === null || last.until < this.#world.timeline.now) return;
      this.#start(this.#tryUntilAnswered({ ...last.write, status: null }));
      return;
    }
    const write = this.#write({ kind, padding, topic, key: null });
    this.#start(write.key === null ? this.#tryOnce(write) : this.#tryUntilAnswered(write));
    if (kind !== "conflict") return;
    this.#start(this.#tryUntilAnswered(this.#write({ kind, padding, topic, key: write.key })));
  }

  connect(topics = ""): void {
    this.#start(this.#connect(topics));
  }

  /** Somebody who plays a client asks for a socket: the answer is an `UpgradeResponse` or a refusal. */
  upgrade(query: string): Promise<Response> {
    return this.#ask(new Request(`${address}?${query}`, { headers: { upgrade: "websocket" } }));
  }

  /** The world is at rest and well: a client must get in exactly when there is a place. */
  async connectNow(hasPlace: boolean): Promise<void> {
    const response = await this.#ask(new Request(address, { headers: { upgrade: "websocket" } }));
    if (response instanceof UpgradeResponse) {
      response.client.open();
      return;
    }
    if (hasPlace) throw new Violation("AD1", `refused with ${response.status} beside free places`);
  }

  status(): void {
    this.#start(
      this.#ask(new Request(address)).then(async (response) => {
        if (response.status !== 200) await checkProblem(response, [503]);
      }),
    );
  }

  async statusNow(): Promise<Record<string, unknown>> {
    const response = await this.#ask(new Request(address));
    if (response.status !== 200) throw new Violation("FA1", `status answered ${response.status}`);
    return (await response.json()) as Record<string, unknown>;
  }

  /** What is inside is refused, with a reason. */
  probe(): void {
    const probes = [
      [403, "/parties/main/room-1"],
      [403, "/party/room"],
      [401, "/parties/registry/default/metrics"],
      [404, "/parties/router/room/~call"],
      [404, "/parties/other/room"],
    ] as const;
    for (const [status, path] of probes) {
      const request = new Request(`http://simulation${path}`, { method: "POST", body: "x" });
      this.#start(this.#ask(request).then((response) => checkProblem(response, [status])));
    }
  }

  /** Everybody was answered, and what was said is what there is. */
  checkRest(): void {
    const { log } = this.#world.invariants;
    if (this.unanswered > 0) throw new Violation("FA1", `${this.unanswered} requests hang`);
    for (const { kind, texts, key, status } of this.writes) {
      if (kind === "volatile") continue;
      for (const text of texts) {
        const { length } = log.numbersOf(text);
        const isIn = status === 200 || status === 202;
        if (isIn && length === 0) throw new Violation("DL2", `"${text}" was answered and is lost`);
        if (status === 422 && length > 0) {
          throw new Violation("DL4", `"${text}" was refused with 422 and is in the log`);
        }
        if (key !== null && length > 1) {
          throw new Violation("DL4", `"${text}" has one key and ${length} places in the log`);
        }
      }
    }
  }

  #write(what: Pick<Write, "kind" | "topic" | "key"> & { padding: number }): Write {
    const { kind, padding, topic, key } = what;
    const count = kind === "many" ? 1 + this.#world.random.below(4) : 1;
    const texts = Array.from({ length: count }, () => {
      this.#texts += 1;
      return `${kind === "volatile" ? "v" : "m"}${this.#texts}${".".repeat(padding)}`;
    });
    const isKeyed = kind === "keyed" || kind === "conflict" || kind === "many";
    const own = isKeyed ? (key ?? `key${this.#texts}`) : null;
    const write: Write = { kind, texts, topic, key: own, status: null };
    this.writes.push(write);
    return write;
  }

  async #tryOnce(write: Write): Promise<void> {
    const response = await this.#ask(requestOf(write));
    await this.#judge(write, response);
  }

  async #tryUntilAnswered(write: Write): Promise<void> {
    const { timeline, random } = this.#world;
    const until = timeline.now + retryForMs;
    while (timeline.now < until) {
      const response = await this.#ask(requestOf(write));
      await this.#judge(write, response);
      if (response.status !== 503) break;
      await timeline.sleep(random.between(100, 3_000));
    }
    const isFirst = write.status === 200 || write.status === 202;
    if (isFirst) this.#lastKeyed = { write, until: timeline.now + retryForMs / 4 };
  }

  async #judge(write: Write, response: Response): Promise<void> {
    write.status = response.status;
    const isExpected =
      response.status === 200 || (write.kind === "delivered" && response.status === 202);
    if (isExpected) return;
    await checkProblem(response, write.kind === "conflict" ? [422, 503] : [503]);
  }

  async #connect(topics: string): Promise<void> {
    const response = await this.upgrade(topics === "" ? "" : `topics=${topics}`);
    if (response instanceof UpgradeResponse) response.client.open();
    else await checkProblem(response, [503]);
  }

  #handleClosed(client: Client, code: number | null): void {
    if (code === null || !this.isReconnecting) return;
    if (code < 1000) throw new Violation("FA1", `client ${client.number} was closed with ${code}`);
    const { timeline, random } = this.#world;
    if (!mayReconnect(code) || random.chance(0.5)) return;
    const topics = client.visitor.request.topics.join(",");
    timeline.after(random.between(10, 3_000), () => this.connect(topics));
  }

  #ask(request: Request): Promise<Response> {
    const { gate, ports } = this.#isolates[this.#world.random.below(this.#isolates.length)] ?? {};
    if (gate === undefined || ports === undefined) throw new Error("a world needs a gate");
    return gate.handle(request, ports);
  }

  #isolate(name: string): Isolate {
    const world = this.#world;
    const outlet: Outlet = { busy: 0, isOver: false, output: (run) => run() };
    const calls = world.callerOf(name, outlet);
    const ports: GatePorts = {
      clock: world.clock,
      entropy: world.entropy,
      calls: {
        call: async (to, request) => {
          const reply = await calls.call(to, request);
          if (!reply.ok && to.role === "shard") this.#refused(outlet, reply.code);
          return reply;
        },
      },
      adminToken: undefined,
      secret: undefined,
      region: () => null,
      maxQueryLength: 2_000,
      canRefuseUpgrades: world.options.host === "workers",
      within: (ms, work) => world.timeline.within(ms, work),
      connect: async (shard, _request, query, connection, signal) => {
        const request = parseClientRequest(new URLSearchParams(query));
        if (!request.ok) return request;
        const visitor = { connection, request: request.value };
        const upgraded = await world.upgrade(name, shard, visitor);
        if (upgraded === null) return { ok: false, code: "unreachable" };
        if ("code" in upgraded) {
          this.#refused(outlet, upgraded.code);
          return { ok: false, code: upgraded.code };
        }
        if (!signal.aborted) return new UpgradeResponse(upgraded.client);
        upgraded.client.break();
        return { ok: false, code: "unreachable" };
      },
      answerSocket: () => new Response(null),
      events: async () => new Response(null),
      onError: (error) => world.fail(error),
    };
    return { gate: new Gate(world.rooms), ports };
  }

  /** A gate that was sent on may ask where to. */
  #refused(gate: Outlet, code: string): void {
    if (code === "draining" || code === "fenced") this.#world.invariants.misled(gate);
  }

  #start(work: Promise<void>): void {
    this.unanswered += 1;
    work.then(
      () => (this.unanswered -= 1),
      (error: unknown) => this.#world.fail(error),
    );
  }
}

function requestOf({ kind, texts, key, topic }: Write): Request {
  const query = new URLSearchParams(topic === null ? {} : { topic });
  if (kind === "volatile") query.set("volatile", "1");
  if (kind === "delivered") query.set("wait", "delivered");
  const headers: Record<string, string> = key === null ? {} : { "idempotency-key": key };
  if (kind === "binary") headers["content-type"] = "application/octet-stream";
  if (kind === "many") headers["content-type"] = "application/x-ndjson";
  const body = texts.join("\n");
  return new Request(`${address}?${query.toString()}`, { method: "POST", headers, body });
}

async function checkProblem(response: Response, statuses: readonly number[]): Promise<void> {
  if (!statuses.includes(response.status)) {
    throw new Violation("FA1", `answered ${response.status} instead of ${statuses.join(" or ")}`);
  }
  const problem = (await response.json()) as Record<string, unknown>;
  if (String(problem["type"]).startsWith("urn:partyshard:problem:")) return;
  throw new Violation("FA1", `${response.status} came without a problem document`);
}
