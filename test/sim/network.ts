/**
 * The network between objects: requests with their replies, and ordered pipes. Loses, delays,
 * reorders and repeats as its fault rates say; partitions cut two addresses off from each other.
 * Knows nothing of what is carried.
 */
import type { Random } from "./random.ts";
import type { Timeline } from "./timeline.ts";

/** Probabilities of each fault, for each request, dial or frame. */
export type FaultRates = {
  readonly lostRequest: number;
  readonly lostReply: number;
  /** The request arrives twice. */
  readonly repeated: number;
  /** The caller gives up, and the request arrives all the same. */
  readonly late: number;
  /** Takes up to seconds instead of milliseconds. */
  readonly slow: number;
  readonly refusedDial: number;
  /** A link breaks as a frame is sent. */
  readonly brokenLink: number;
};

export const noFaults: FaultRates = {
  lostRequest: 0,
  lostReply: 0,
  repeated: 0,
  late: 0,
  slow: 0,
  refusedDial: 0,
  brokenLink: 0,
};

/** How one arrival of a request is answered. */
export type Answering<Reply> = {
  /** `onLost` runs when the caller never gets this reply. */
  answer(reply: Reply, onLost?: () => void): void;
  /** The callee died: no reply comes. */
  abandon(): void;
};

export type Exchange<Reply> = {
  readonly from: string;
  readonly to: string;
  /** Whether the network may deliver the request twice. */
  readonly isRepeatable: boolean;
  readonly arrive: (answering: Answering<Reply>) => void;
  /** Runs once; `null` when the callee cannot be reached, as far as the caller knows. */
  readonly done: (reply: Reply | null) => void;
};

export class Network {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #partitions = new Map<string, number>();
  rates: FaultRates;
  isHealed = false;

  constructor(timeline: Timeline, random: Random, rates: FaultRates) {
    this.#timeline = timeline;
    this.#random = random;
    this.rates = rates;
  }

  part(one: string, other: string, forMs: number): void {
    this.#partitions.set(pair(one, other), this.#timeline.now + forMs);
  }

  isParted(one: string, other: string): boolean {
    return (this.#partitions.get(pair(one, other)) ?? 0) > this.#timeline.now;
  }

  /** From here on nothing goes wrong. */
  heal(): void {
    this.isHealed = true;
    this.rates = noFaults;
    this.#partitions.clear();
  }

  delay(): number {
    const random = this.#random;
    if (random.chance(this.rates.slow)) return random.between(50, 4_000);
    return random.chance(0.1) ? random.between(5, 60) : random.between(0.2, 5);
  }

  exchange<Reply>({ from, to, isRepeatable, arrive, done }: Exchange<Reply>): void {
    const { rates } = this;
    const random = this.#random;
    let isOver = false;
    const finish = (reply: Reply | null): boolean => {
      if (isOver) return false;
      isOver = true;
      done(reply);
      return true;
    };
    const giveUp = (): void => void this.#timeline.after(this.#patience(), () => finish(null));
    const deliver = (): void =>
      arrive({
        answer: (reply, onLost) => {
          if (this.isParted(from, to) || random.chance(rates.lostReply)) {
            giveUp();
            onLost?.();
            return;
          }
          this.#timeline.after(this.delay(), () => {
            if (!finish(reply)) onLost?.();
          });
        },
        abandon: giveUp,
      });
    if (this.isParted(from, to) || random.chance(rates.lostRequest)) {
      giveUp();
      return;
    }
    const isLate = random.chance(rates.late);
    if (isLate) giveUp();
    this.#timeline.after(isLate ? random.between(1_000, 30_000) : this.delay(), deliver);
    if (isRepeatable && random.chance(rates.repeated)) {
      this.#timeline.after(this.delay() + random.between(0, 8_000) * random.below(2), deliver);
    }
  }

  /** How long a caller waits for a reply that does not come. */
  #patience(): number {
    const random = this.#random;
    return random.chance(0.2) ? random.between(1_000, 15_000) : random.between(1, 300);
  }
}

/** One direction of a connection: what is sent arrives in order, until it is cut. */
export class Pipe {
  readonly #timeline: Timeline;
  readonly #random: Random;
  readonly #delay: () => number;
  #sent = 0;
  #arrived = 0;
  #cutAt = Infinity;
  #lastAt = 0;

  constructor(timeline: Timeline, random: Random, delay: () => number) {
    this.#timeline = timeline;
    this.#random = random;
    this.#delay = delay;
  }

  send(arrive: () => void): void {
    const index = this.#sent;
    this.#sent += 1;
    this.#lastAt = Math.max(this.#lastAt, this.#timeline.now + this.#delay());
    this.#timeline.at(this.#lastAt, () => {
      if (index >= this.#cutAt) return;
      this.#arrived = index + 1;
      arrive();
    });
  }

  /** Breaks: of what is under way, some may still arrive. */
  cut(): void {
    const inFlight = this.#sent - this.#arrived;
    this.#cutAt = Math.min(this.#cutAt, this.#arrived + this.#random.below(inFlight + 1));
  }

  /** When what was sent has arrived or is lost. */
  get clearAt(): number {
    return this.#lastAt;
  }
}

function pair(one: string, other: string): string {
  return one < other ? `${one}|${other}` : `${other}|${one}`;
}
