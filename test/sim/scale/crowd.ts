/**
 * Clients as rows of numbers: where each is, and what it has got, counted and summed, so that any loss
 * or repetition shows. Knows nothing of how clients connect.
 *
 * Every message carries its own number, so what a client should have got from its first welcome on is
 * known in advance.
 */
import type { Position } from "../../../src/protocol/link.ts";

/** What somebody has got so far: how many messages, and the sum of the numbers that they carry. */
export type Tally = { readonly count: number; readonly sum: number };

/** A client's shard, as the crowd sees it. */
type Place = { readonly tally: Tally; readonly position: Position | null };

export type Faults = { readonly lost: number; readonly repeated: number; readonly wrong: number };

const nowhere = -1;

export class Crowd {
  readonly size: number;
  /** Position of the first welcome. */
  readonly #first: Int32Array;
  /** Position when it was connected last. */
  readonly #seq: Int32Array;
  readonly #count: Float64Array;
  readonly #sum: Float64Array;
  readonly #places: (Place | null)[];
  /** What its shard had handed on when the client came, what is owed to it included. */
  readonly #countThen: Float64Array;
  readonly #sumThen: Float64Array;
  readonly failures: Uint8Array;
  connected = 0;

  constructor(size: number) {
    this.size = size;
    this.#first = new Int32Array(size).fill(nowhere);
    this.#seq = new Int32Array(size).fill(nowhere);
    this.#count = new Float64Array(size);
    this.#sum = new Float64Array(size);
    this.#places = Array.from({ length: size }, () => null);
    this.#countThen = new Float64Array(size);
    this.#sumThen = new Float64Array(size);
    this.failures = new Uint8Array(size);
  }

  /** The last message that the client has; `null` when it never was connected. */
  seqOf(client: number): number | null {
    const seq = this.#seq[client] ?? nowhere;
    return seq === nowhere ? null : seq;
  }

  /** How many messages there were since the client was first welcomed. */
  ageOf(client: number): number {
    const place = this.#places[client];
    return (place?.position?.seq ?? 0) - (this.#first[client] ?? 0);
  }

  isConnected(client: number): boolean {
    return this.#places[client] !== null;
  }

  /** `missed` is what the client is sent of the time before its shard's position. */
  welcome(client: number, place: Place, missed: Tally): void {
    if (place.position === null) throw new Error("a client was welcomed without a position");
    if (this.isConnected(client)) throw new Error("a client was welcomed twice");
    if (this.#first[client] === nowhere) this.#first[client] = place.position.seq;
    add(this.#count, client, missed.count);
    add(this.#sum, client, missed.sum);
    this.#countThen[client] = place.tally.count;
    this.#sumThen[client] = place.tally.sum;
    this.#places[client] = place;
    this.failures[client] = 0;
    this.connected += 1;
  }

  /** The connection is over; `unread` was handed on by the shard and never arrived. */
  left(client: number, unread: Tally): void {
    const place = this.#places[client];
    if (place === null || place === undefined || place.position === null) return;
    this.#settle(client, place);
    add(this.#count, client, -unread.count);
    add(this.#sum, client, -unread.sum);
    this.#seq[client] = place.position.seq - unread.count;
    this.#places[client] = null;
    this.connected -= 1;
  }

  /** What all clients lack or have twice, when the room's last message is `head`. */
  faults(head: number): Faults {
    let [lost, repeated, wrong] = [0, 0, 0];
    for (let client = 0; client < this.size; client += 1) {
      const place = this.#places[client];
      if (place !== null && place !== undefined) {
        this.#settle(client, place);
        this.#countThen[client] = place.tally.count;
        this.#sumThen[client] = place.tally.sum;
      }
      const first = this.#first[client] ?? nowhere;
      if (first === nowhere) continue;
      const missing = head - first - (this.#count[client] ?? 0);
      lost += Math.max(0, missing);
      repeated += Math.max(0, -missing);
      if (sumBetween(first, head) !== this.#sum[client]) wrong += 1;
    }
    return { lost, repeated, wrong };
  }

  #settle(client: number, { tally }: Place): void {
    add(this.#count, client, tally.count - (this.#countThen[client] ?? 0));
    add(this.#sum, client, tally.sum - (this.#sumThen[client] ?? 0));
  }
}

/** Of all numbers above `after`, up to `through`. */
function sumBetween(after: number, through: number): number {
  return (through * (through + 1) - after * (after + 1)) / 2;
}

function add(numbers: Float64Array, index: number, by: number): void {
  numbers[index] = (numbers[index] ?? 0) + by;
}
