/**
 * A link: the WebSocket between a sequencer's life, which dialled, and a shard, whose end outlives
 * the shard's memory. Two ordered pipes that close in order, break, or go half-open. Knows nothing
 * of frames.
 */
import type { Position } from "../../src/protocol/link.ts";
import { Pipe } from "./network.ts";
import type { Environment } from "./environment.ts";

/** What an end is told; `closed` comes once and last. */
export type LinkEnd = {
  message(text: string): void;
  closed(code: number): void;
};

type Side = "sequencer" | "shard";

/** WebSocket close code for a connection that ended without one. */
const abnormal = 1006;

export class Link {
  /** The position that the shard's end keeps with the socket. */
  kept: Position | null = null;
  readonly #world: Environment;
  readonly #addresses: Record<Side, string>;
  readonly #ends: Record<Side, LinkEnd | null>;
  /** By the side that sends. */
  readonly #pipes: Record<Side, Pipe>;
  readonly #isClosing: Record<Side, boolean> = { sequencer: false, shard: false };
  #isBroken = false;

  constructor(world: Environment, addresses: Record<Side, string>, ends: Record<Side, LinkEnd>) {
    this.#world = world;
    this.#addresses = addresses;
    this.#ends = { ...ends };
    const { timeline, random, network } = world;
    const delay = (): number => network.delay();
    this.#pipes = {
      sequencer: new Pipe(timeline, random, delay),
      shard: new Pipe(timeline, random, delay),
    };
  }

  /** Both ends have been told that the link is over, or are no more. */
  get isOver(): boolean {
    return this.#ends.sequencer === null && this.#ends.shard === null;
  }

  /** Whether this end may still be told something. */
  isHeldBy(side: Side): boolean {
    return this.#ends[side] !== null;
  }

  send(side: Side, text: string): void {
    const { network, random } = this.#world;
    if (this.#isClosing[side] || this.#ends[side] === null) return;
    if (network.isParted(this.#addresses.sequencer, this.#addresses.shard)) this.break(0);
    this.#world.trace(() => `link ${this.#addresses.shard}: ${side} sends ${text.slice(0, 150)}`);
    this.#pipes[side].send(() => this.#ends[other(side)]?.message(text));
    if (random.chance(network.rates.brokenLink)) this.break(0);
  }

  /** This end closes: the other is told in order, and then this one too. */
  close(side: Side, code: number): void {
    if (this.#isClosing[side] || this.#ends[side] === null) return;
    this.#isClosing[side] = true;
    this.#world.trace(() => `link ${this.#addresses.shard}: ${side} closes with ${code}`);
    const peer = other(side);
    this.#pipes[side].send(() => {
      const wasClosing = this.#isClosing[peer];
      this.#isClosing[peer] = true;
      this.#tell(peer, code);
      if (wasClosing) this.#tell(side, code);
      else this.#pipes[peer].send(() => this.#tell(side, code));
    });
  }

  /**
   * The connection breaks: nothing sent from now on arrives, what is under way may not. Each end
   * learns in its own time, after at least so long; until then the link is half-open.
   */
  break(unnoticedMs: number): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#world.trace(() => `link ${this.#addresses.shard} breaks`);
    for (const side of ["sequencer", "shard"] as const) {
      const pipe = this.#pipes[other(side)];
      pipe.cut();
      this.#learnLater(side, pipe.clearAt, unnoticedMs);
    }
  }

  /** The object of this end died: the end is told nothing any more, the other learns. */
  die(side: Side): void {
    this.#ends[side] = null;
    this.break(0);
  }

  #learnLater(side: Side, clearAt: number, unnoticedMs: number): void {
    const { timeline, random } = this.#world;
    const slowly = random.chance(0.2) ? random.between(1_000, 20_000) : random.between(0.5, 50);
    const at = Math.max(clearAt, timeline.now) + unnoticedMs * random.next() + slowly;
    timeline.at(at, () => this.#tell(side, abnormal));
  }

  #tell(side: Side, code: number): void {
    const end = this.#ends[side];
    this.#ends[side] = null;
    this.#world.trace(() => `link ${this.#addresses.shard}: ${side} end closed with ${code}`);
    end?.closed(code);
  }
}

function other(side: Side): Side {
  return side === "shard" ? "sequencer" : "shard";
}
