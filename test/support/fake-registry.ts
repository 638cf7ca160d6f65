/**
 * A registry for tests of game servers: answers their requests, and lets a test say otherwise. Its
 * time stands still until it is told. Knows nothing of rooms or seats.
 */
import { RegistryClient } from "../../client/registry-client.ts";
import { problemDocument, type ProblemCode } from "../../src/protocol/problems.ts";
import type { BodyOf, HeartbeatAnswer } from "../../src/protocol/registry.ts";
import { Recording } from "./recording.ts";

export type RegistryRequest = {
  readonly method: string;
  /** Below the registry. */
  readonly path: string;
  readonly body: unknown;
  /** When it came, by the process's clock. */
  readonly at: number;
};

type Report = BodyOf<"heartbeat">;

export class FakeRegistry {
  readonly requests = new Recording<RegistryRequest>(({ method, path }) => `${method} ${path}`);
  /** The registry's time. */
  now = 1_800_000_000_000;
  status: HeartbeatAnswer["status"] = "online";
  dispose: readonly string[] = [];
  leaseMs = 15_000;
  heartbeatIntervalMs = 5_000;
  /** Whether every request is lost. */
  isSilent = false;
  /** What it answers each time, by method and path. */
  readonly answers = new Map<string, object>();
  /** Answers in place of its own, in order; `drop` loses the request. */
  readonly next: (ProblemCode | "drop" | object)[] = [];

  readonly client = new RegistryClient({ fetch: (request) => this.#answer(request) });

  /** Every report so far. */
  get reports(): readonly Report[] {
    return this.requests.items
      .filter(({ path }) => path.endsWith("/heartbeat"))
      .map(({ body }) => body as Report);
  }

  /** Of the newest registration. */
  get instance(): string {
    const registration = this.requests.items.findLast(({ path }) => path === "servers");
    return (registration?.body as { instance?: string } | undefined)?.instance ?? "";
  }

  /** Resolves with the newest report that this holds for. */
  async reported(isWanted: (report: Report) => boolean): Promise<Report> {
    await this.requests.until(() => this.reports.some(isWanted), "such a report");
    const report = this.reports.findLast(isWanted);
    if (report === undefined) throw new Error("no such report");
    return report;
  }

  /** Resolves after so many more heartbeats. */
  async hears(count: number): Promise<void> {
    const end = this.reports.length + count;
    await this.requests.until(() => this.reports.length >= end, `${count} heartbeats`);
  }

  /** Resolves once so many requests of this method and path have come. */
  async asked(what: string, times = 1): Promise<void> {
    const count = (): number => this.times(what);
    await this.requests.until(() => count() >= times, `${times} times ${what}`);
  }

  times(what: string): number {
    return this.requests.items.filter(({ method, path }) => `${method} ${path}` === what).length;
  }

  async #answer(request: Request): Promise<Response> {
    const text = await request.text();
    const path = new URL(request.url).pathname.replace("/parties/registry/default/", "");
    const body: unknown = text === "" ? null : JSON.parse(text);
    const said = this.next.shift();
    this.requests.add({ method: request.method, path, body, at: performance.now() });
    if (said === "drop" || this.isSilent) throw new TypeError("fetch failed");
    if (typeof said === "string") {
      const problem = problemDocument(said, "so said the test");
      return Response.json(problem, { status: problem.status });
    }
    const room = { serverId: "s", roomId: "game:1", address: "wss://other.example" };
    const { now, status, dispose, leaseMs, heartbeatIntervalMs } = this;
    const answer = { now, status, dispose, leaseMs, heartbeatIntervalMs, ...room };
    return Response.json(said ?? this.answers.get(`${request.method} ${path}`) ?? answer);
  }
}
