/**
 * The run of W8: everybody comes at once, messages flow, a part of the shards dies, everybody comes
 * back. Owns what is measured; decides nothing about how the roles do it.
 */
import { backoffMs } from "../../../src/core/backoff.ts";
import type { ShardId } from "../../../src/protocol/names.ts";
import type { ScaleOptions } from "./options.ts";
import { room, ScaleWorld } from "./scale-world.ts";

/** Of the client library (CL5, CL6). */
const retryBounds = { baseMs: 1_000, maxMs: 30_000 };
const silenceMs = 40_000;
const brokenMs = 100;

const settleMs = 10_000;
const afterLossMs = 60_000;
const quietMs = 5_000;

/** What was so at the end of one second. */
export type Second = {
  readonly at: number;
  readonly connections: number;
  /** Largest shard divided by the mean of all that serve. */
  readonly unevenness: number;
  readonly registryCalls: number;
  readonly replaced: number;
};

export type ScaleFigures = {
  readonly options: ScaleOptions;
  readonly stormSeconds: number;
  /** Largest over mean, when everybody had come and a minute after the loss. */
  readonly unevennessAfterStorm: number;
  readonly unevennessAfterLoss: number;
  readonly registry: {
    /** In the busiest second, wherever it begins. */
    readonly peakPerSecond: number;
    readonly meanInStorm: number;
    readonly meanAtRest: number;
    readonly meanAfterLoss: number;
    readonly hubTotal: number;
    readonly tableCharacters: number;
  };
  readonly calls: Readonly<Record<string, number>>;
  readonly sequencer: {
    readonly messages: number;
    readonly framesPerMessage: number;
    readonly answersPerMessage: number;
    readonly charactersPerMessage: number;
  };
  readonly loss: {
    readonly shards: number;
    readonly clients: number;
    readonly firstReplacedMs: number | null;
    readonly lastReplacedMs: number | null;
    readonly halfBackMs: number | null;
    readonly allBackMs: number | null;
    readonly refusedAttempts: number;
  };
  readonly lost: number;
  readonly repeated: number;
  readonly wrong: number;
  readonly welcomed: number;
  readonly seconds: readonly Second[];
};

export async function runScale(
  options: ScaleOptions,
  onSecond: (second: Second) => void = () => {},
): Promise<ScaleFigures> {
  const run = new ScaleRun(await ScaleWorld.start(options), onSecond);
  return run.all();
}

class ScaleRun {
  readonly #world: ScaleWorld;
  readonly #onSecond: (second: Second) => void;
  readonly #seconds: Second[] = [];
  readonly #startedAt: number;
  #isPublishing = true;
  #published = 0;
  #refused = 0;
  #dead: readonly ShardId[] = [];

  constructor(world: ScaleWorld, onSecond: (second: Second) => void) {
    this.#world = world;
    this.#onSecond = onSecond;
    this.#startedAt = world.timeline.now;
    world.onLeft = (client) => this.#comeBack(client, this.#noticeMs());
  }

  async all(): Promise<ScaleFigures> {
    const { options, crowd } = this.#world;
    this.#publish();
    this.#storm(0);
    await this.#run((options.sockets / options.connectsPerSecond) * 1_000);
    while (crowd.connected < crowd.size) await this.#run(1_000);
    const stormSeconds = this.#seconds.length;
    const unevennessAfterStorm = this.#unevenness();
    await this.#run(settleMs);
    const loss = await this.#lose();
    const unevennessAfterLoss = this.#unevenness();
    this.#isPublishing = false;
    await this.#world.run(quietMs);
    const faults = crowd.faults(await this.#world.head());
    return {
      options,
      stormSeconds,
      unevennessAfterStorm,
      unevennessAfterLoss,
      ...this.#callFigures(stormSeconds),
      loss,
      ...faults,
      welcomed: crowd.connected,
      seconds: this.#seconds,
    };
  }

  #callFigures(stormSeconds: number): Pick<ScaleFigures, "registry" | "calls" | "sequencer"> {
    const { calls, links, partition } = this.#world;
    const seconds = calls.perSecond(partition);
    const lossAt = stormSeconds + settleMs / 1_000;
    const { frames, answers, characters } = links;
    const perMessage = (value: number): number => value / Math.max(1, this.#published);
    return {
      registry: {
        peakPerSecond: calls.mostInSecond(partition),
        meanInStorm: mean(seconds.slice(0, stormSeconds)),
        meanAtRest: mean(seconds.slice(stormSeconds, lossAt)),
        meanAfterLoss: mean(seconds.slice(lossAt, lossAt + afterLossMs / 1_000)),
        hubTotal: calls.hubTotal,
        tableCharacters: calls.replyLength("registry table"),
      },
      calls: calls.counts,
      sequencer: {
        messages: this.#published,
        framesPerMessage: perMessage(frames),
        answersPerMessage: perMessage(answers),
        charactersPerMessage: perMessage(characters),
      },
    };
  }

  /** Everybody connects for the first time, so many a second. */
  #storm(client: number): void {
    const { timeline, options } = this.#world;
    if (client >= options.sockets) return;
    void this.#connect(client);
    const at = this.#startedAt + ((client + 1) / options.connectsPerSecond) * 1_000;
    timeline.at(at, () => this.#storm(client + 1));
  }

  #publish(): void {
    if (!this.#isPublishing) return;
    const { timeline, options } = this.#world;
    this.#published += 1;
    const body = `${this.#published}`.padEnd(100, " ");
    const url = `https://host/parties/router/${room}`;
    void this.#world.request(new Request(url, { method: "POST", body })).then((response) => {
      if (response.status !== 200) this.#world.fail(new Error(`POST gave ${response.status}`));
    });
    timeline.after(1_000 / options.messagesPerSecond, () => this.#publish());
  }

  async #connect(client: number): Promise<void> {
    const { crowd } = this.#world;
    const since = crowd.seqOf(client);
    const resume = since === null ? "" : `&epoch=${this.#world.epoch}&since=${since}`;
    const url = `https://host/parties/router/${room}?_pk=${client}&protocol=1${resume}`;
    await this.#world.request(new Request(url, { headers: upgrade }));
    if (crowd.isConnected(client)) return;
    this.#refused += 1;
    this.#comeBack(client, 0);
  }

  #comeBack(client: number, noticeMs: number): void {
    const { crowd, random, timeline } = this.#world;
    const failures = Math.min(30, (crowd.failures[client] ?? 0) + 1);
    crowd.failures[client] = failures;
    const pauseMs = noticeMs + backoffMs(failures, random.next(), retryBounds);
    timeline.after(pauseMs, () => void this.#connect(client));
  }

  /** When a client finds that its shard is no more. */
  #noticeMs(): number {
    const { options, random } = this.#world;
    return options.loss === "silent" ? silenceMs : random.between(0, brokenMs);
  }

  /** A part of the shards dies; a minute goes by. */
  async #lose(): Promise<ScaleFigures["loss"]> {
    const { timeline, crowd, options } = this.#world;
    const victims = this.#victims(Math.floor(options.shards * options.lostShare));
    this.#dead = victims.map(({ id }) => id);
    const diedAt = timeline.now;
    const before = crowd.connected;
    const refusedBefore = this.#refused;
    for (const victim of victims) victim.isDead = true;
    for (const victim of victims) this.#world.empty(victim);
    const clients = before - crowd.connected;
    let firstReplacedMs: number | null = null;
    let lastReplacedMs: number | null = null;
    let halfBackMs: number | null = null;
    let allBackMs: number | null = null;
    await this.#run(afterLossMs, async () => {
      const sinceMs = timeline.now - diedAt;
      const replaced = lastReplacedMs === null ? await this.#replaced() : 0;
      if (replaced > 0) firstReplacedMs ??= sinceMs;
      if (replaced === victims.length) lastReplacedMs ??= sinceMs;
      if (before - crowd.connected <= clients / 2) halfBackMs ??= sinceMs;
      if (crowd.connected === before) allBackMs ??= sinceMs;
      else allBackMs = null;
    });
    const refusedAttempts = this.#refused - refusedBefore;
    const times = { firstReplacedMs, lastReplacedMs, halfBackMs, allBackMs };
    return { shards: victims.length, clients, ...times, refusedAttempts };
  }

  #victims(count: number) {
    const left = [...this.#world.shards.values()];
    return Array.from({ length: count }, () => {
      const [victim] = left.splice(this.#world.random.below(left.length), 1);
      if (victim === undefined) throw new Error("there are not so many shards");
      return victim;
    });
  }

  /** How many of the dead shards' slots another object serves. */
  async #replaced(): Promise<number> {
    const dead = new Set(this.#dead);
    const layout = await this.#world.layout();
    return dead.size - layout.filter(({ id }) => dead.has(id)).length;
  }

  async #run(ms: number, each: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const { timeline } = this.#world;
    await this.#world.run(ms, async () => {
      await each();
      const elapsed = timeline.now - this.#startedAt;
      if (elapsed % 1_000 === 0) await this.#note(elapsed / 1_000);
    });
  }

  async #note(at: number): Promise<void> {
    const { calls, crowd, partition } = this.#world;
    const second = {
      at,
      connections: crowd.connected,
      unevenness: this.#unevenness(),
      registryCalls: calls.perSecond(partition)[at - 1] ?? 0,
      replaced: this.#dead.length === 0 ? 0 : await this.#replaced(),
    };
    this.#seconds.push(second);
    this.#onSecond(second);
  }

  #unevenness(): number {
    const { shards, options, crowd } = this.#world;
    let largest = 0;
    for (const { clients } of shards.values()) largest = Math.max(largest, clients.length);
    return crowd.connected === 0 ? 0 : largest / (crowd.connected / options.shards);
  }
}

const upgrade = { upgrade: "websocket" };

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}
