/** The clients of protocol 1 of a world, what a schedule has them do, and what must hold at rest. */
import type { Client } from "./client.ts";
import { Violation } from "./environment.ts";
import type { Outside } from "./outside.ts";
import { ReferenceClient } from "./reference-client.ts";
import type { ClientAction, Misbehaviour } from "./schedule.ts";
import type { World } from "./world.ts";
import { TopicFilters } from "../../src/core/topics.ts";

const maxClients = 8;
/** A message beyond every room. */
const farAhead = 1_000_000;

const misbehaviours: Record<Misbehaviour, string | Uint8Array> = {
  "no-json": "{",
  "unknown-type": '{"type":"welcome"}',
  "extra-member": '{"type":"ack","seq":0,"more":1}',
  "bad-topic": '{"type":"subscribe","topics":["a*"]}',
  bytes: new Uint8Array([123, 125]),
};

export class ReferenceClients {
  readonly #world: World;
  readonly #outside: Outside;
  readonly #clients: ReferenceClient[] = [];

  constructor(world: World, outside: Outside) {
    this.#world = world;
    this.#outside = outside;
  }

  act(action: ClientAction): void {
    switch (action.type) {
      case "join":
        for (let left = action.count; left > 0; left -= 1) this.#join(action.topics, null);
        return;
      case "stray":
        return this.#join("", this.#nowhere(action.kind));
      case "away":
        return this.#pick(action.client)?.leave(action.forMs);
      case "cut":
        return this.#pick(action.client)?.cut(action.isNoticed);
      case "everybody-cut":
        for (const client of this.#clients) client.cut(action.isNoticed);
        return;
      case "stall":
        return this.#pick(action.client)?.stall(action.forMs);
      case "topics":
        return this.#pick(action.client)?.subscribe(filtersOf(action.topics));
      case "ping":
        return this.#pick(action.client)?.ping();
      case "misbehave":
        return this.#pick(action.client)?.misbehave(misbehaviours[action.how]);
      case "send": {
        const publishes = this.#pick(action.client)?.publishes;
        for (let left = action.count; left > 0; left -= 1) {
          publishes?.publish(action.padding, action.topic);
        }
      }
    }
  }

  /** Cuts everybody off; returns those who lack nothing, and must be told so when they are back. */
  cutAll(): ReadonlySet<ReferenceClient> {
    const { head } = this.#world.invariants.log;
    const whole = this.#clients.filter((each) => each.isWanting && each.position?.seq === head);
    for (const client of this.#clients) client.cut(true);
    return new Set(whole);
  }

  checkRecovered(whole: ReadonlySet<ReferenceClient>): void {
    for (const { name, isWanting, hasRecovered } of whole) {
      if (isWanting && !hasRecovered) throw new Violation("PR2", `${name} did not recover`);
    }
  }

  checkRest(): void {
    for (const client of this.#clients) {
      const { name, socket, isWanting, isWelcomed, publishes } = client;
      if (isWanting && !isWelcomed) throw new Violation("PR2", `${name} is not connected`);
      publishes.checkRest(isWanting);
      if (socket !== null) this.#checkComplete(client, socket);
      this.#checkRun(client);
    }
    this.#world.wires.checkRest();
  }

  /** What was sent has arrived. */
  #checkComplete({ name, position }: ReferenceClient, socket: Client): void {
    const wire = this.#world.wires.wireOf(socket);
    if (wire !== undefined && wire.covered === position?.seq) return;
    throw new Violation("PR2", `${name} is at ${position?.seq}, and was sent ${wire?.covered}`);
  }

  /** What it has taken over all its sockets is what the log holds of its topics. */
  #checkRun({ name, run, position, topics }: ReferenceClient): void {
    if (run === null || position === null) return;
    const { log } = this.#world.invariants;
    const filters = new TopicFilters(topics);
    const taken = new Map(run.taken);
    const isOrdered = run.taken.every(([seq], index) => seq > (run.taken[index - 1]?.[0] ?? 0));
    if (!isOrdered) throw new Violation("PR2", `${name} took messages twice or out of order`);
    for (let seq = run.start + 1; seq <= position.seq; seq += 1) {
      const text = taken.get(seq);
      const isWanted = run.hasChangedTopics ? text !== undefined : filters.lets(log.topicAt(seq));
      if (text === (isWanted ? log.at(seq) : undefined)) continue;
      const mayLack = this.#world.options.hook === "throwing" && text === undefined;
      if (!mayLack) throw new Violation("PR2", `${name} has "${text}" for message ${seq}`);
    }
  }

  #join(topics: string, astray: ReferenceClient["position"]): void {
    if (this.#clients.length >= maxClients) return;
    const name = `c${this.#clients.length + 1}`;
    const start = { name, topics: filtersOf(topics), astray };
    this.#clients.push(new ReferenceClient(this.#world, this.#outside, start));
  }

  #nowhere(kind: "ahead" | "other-life"): ReferenceClient["position"] {
    const { epoch, head } = this.#world.invariants.log;
    if (kind === "other-life" || epoch === null) return { epoch: "0", seq: head };
    return { epoch, seq: head + farAhead };
  }

  #pick(number: number): ReferenceClient | undefined {
    return this.#clients[number % this.#clients.length];
  }
}

function filtersOf(topics: string): readonly string[] {
  return topics === "" ? [] : topics.split(",");
}
