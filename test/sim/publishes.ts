/**
 * What one client publishes over its sockets: at most so many unanswered, each repeated with its own
 * id until it is answered. Judges the answers.
 */
import type { ClientFrame, ServerFrame } from "../../src/protocol/client.ts";
import { maxUnanswered } from "../../src/protocol/publish-id.ts";
import { Violation } from "./environment.ts";
import type { Timer } from "./timeline.ts";
import type { World } from "./world.ts";

type PublishFrame = Extract<ClientFrame, { type: "publish" }>;
/** A shard that slept meanwhile has forgotten whom the answer was for. */
const repeatAfterMs = 15_000;

type Answer = Extract<ServerFrame, { type: "published" | "rejected" }>;

export class Publishes {
  readonly #world: World;
  readonly #connection: string;
  /** False while the client is not connected. */
  readonly #transmit: (frame: PublishFrame) => boolean;
  #count = 0;
  #waiting: PublishFrame[] = [];
  readonly #unanswered = new Map<string, PublishFrame>();
  readonly #repetitions = new Map<string, Timer>();
  /** The text of everything ever published here, and what became of it. */
  readonly #texts = new Map<string, string>();
  readonly #numbers = new Map<string, number>();
  readonly #rejected = new Set<string>();

  constructor(world: World, connection: string, transmit: (frame: PublishFrame) => boolean) {
    this.#world = world;
    this.#connection = connection;
    this.#transmit = transmit;
  }

  publish(padding: number, topic: string | null): void {
    this.#count += 1;
    const id = `~${this.#connection}:${this.#count}`;
    const data = `p${id}${".".repeat(padding)}`;
    this.#texts.set(id, data);
    this.#waiting.push({ type: "publish", id, data, ...(topic === null ? {} : { topic }) });
    this.#next();
  }

  /** The client is connected, perhaps anew. */
  repeat(): void {
    for (const frame of this.#unanswered.values()) this.#send(frame);
    this.#next();
  }

  answered(answer: Answer): void {
    const text = this.#texts.get(answer.id);
    if (text === undefined) throw new Violation("PR8", `nobody published ${answer.id}`);
    // A repetition that was long on its way has no effect, and its answer says so.
    if (answer.type === "rejected" && this.#numbers.has(answer.id)) return;
    if (answer.type === "published") this.#check(answer.id, text, answer.seq);
    else if (answer.problem.status >= 500) {
      this.#repeatAfter(this.#world.random.between(1_000, 8_000), answer.id);
      return;
    } else this.#reject(answer.id, answer.problem.type);
    this.#unanswered.delete(answer.id);
    this.#next();
  }

  checkRest(isConnected: boolean): void {
    const { log } = this.#world.invariants;
    const open = this.#unanswered.size + this.#waiting.length;
    if (isConnected && open > 0) {
      throw new Violation("PR8", `${this.#connection} has ${open} publishes unanswered`);
    }
    for (const [id, text] of this.#texts) {
      const { length } = log.numbersOf(text);
      const expected = this.#numbers.has(id) ? [1] : this.#rejected.has(id) ? [0] : [0, 1];
      if (expected.includes(length)) continue;
      throw new Violation("PR8", `publish ${id} is in the log ${length} times`);
    }
  }

  #next(): void {
    for (;;) {
      const [frame] = this.#waiting;
      const [oldest] = this.#unanswered.keys();
      if (frame === undefined) return;
      if (oldest !== undefined && numberOf(frame.id) - numberOf(oldest) >= maxUnanswered) return;
      this.#waiting.shift();
      this.#unanswered.set(frame.id, frame);
      this.#send(frame);
    }
  }

  #check(id: string, text: string, seq: number): void {
    const former = this.#numbers.get(id);
    this.#numbers.set(id, seq);
    const isTrue = this.#world.invariants.log.at(seq) === text;
    if (isTrue && (former === undefined || former === seq) && !this.#rejected.has(id)) return;
    throw new Violation("PR8", `publish ${id} was answered as ${seq}, before as ${former}`);
  }

  #reject(id: string, problem: string): void {
    const isAllowed = this.#world.options.publishOverSocket === true;
    const code = problem.split(":").at(-1);
    if (isAllowed || code !== "publish-not-allowed" || this.#numbers.has(id)) {
      throw new Violation("PR8", `publish ${id} was rejected: ${problem}`);
    }
    this.#rejected.add(id);
  }

  #send(frame: PublishFrame): void {
    if (this.#transmit(frame)) this.#repeatAfter(repeatAfterMs, frame.id);
  }

  #repeatAfter(delayMs: number, id: string): void {
    this.#repetitions.get(id)?.cancel();
    const timer = this.#world.timeline.after(delayMs, () => {
      const frame = this.#unanswered.get(id);
      if (frame !== undefined) this.#send(frame);
    });
    this.#repetitions.set(id, timer);
  }
}

function numberOf(id: string): number {
  return Number(id.slice(id.lastIndexOf(":") + 1));
}
