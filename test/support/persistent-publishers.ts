/**
 * Publishers of whole numbers, each its own, ascending. They go on while the room is gone: whatever
 * was not answered is published again, the same, until it is. One kind gives up instead.
 */
import { setTimeout as pause } from "node:timers/promises";
import * as v from "valibot";
import type { RoomSocket } from "../../client/room-socket.ts";
import { openRoomSocket, type Place } from "./crowd.ts";

const pauseMs = 100;
/** Over a socket, without an answer. */
const inFlight = 4;
/** More than any of them publishes. */
const numbersEach = 1_000_000;

const receiptSchema = v.object({ epoch: v.string(), seq: v.number() });

/** What the room said of a number: its place in the order. */
type Answer = v.InferOutput<typeof receiptSchema> & { readonly text: string };

/** How many publishers there are of each kind. */
type Kinds = {
  /** POST one number after the other with a key until it has its answer, and then until it has it again. */
  readonly overHttp: number;
  /** Publish with a `RoomSocket`, several at a time. */
  readonly overSocket: number;
  /** POST without a key, once: what was not answered is left behind. */
  readonly careless: number;
};

export class PersistentPublishers {
  readonly answers: Answer[] = [];
  /** Numbers that had to be sent again over HTTP. */
  readonly repeated = new Set<string>();
  /** Numbers of careless publishers that were not answered. */
  readonly lost: string[] = [];
  readonly #place: Place;
  readonly #lanes: Promise<void>[] = [];
  readonly #sockets: RoomSocket[] = [];
  #publishers = 0;
  #isStopped = false;
  #isOver = false;

  constructor(place: Place, { overHttp, overSocket, careless }: Kinds) {
    this.#place = place;
    for (let index = 0; index < overHttp; index += 1) {
      this.#start(async (text) => {
        await this.#insist(text);
        await this.#insist(text);
      });
    }
    for (let index = 0; index < careless; index += 1) this.#start((text) => this.#tryOnce(text));
    for (let index = 0; index < overSocket; index += 1) this.#startOverSocket();
  }

  /** No more numbers; resolves when all have their answer, or were left behind. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#lanes);
    this.leave();
  }

  /** Gives up whatever is under way. */
  leave(): void {
    this.#isStopped = true;
    this.#isOver = true;
    for (const socket of this.#sockets) socket.close();
  }

  #start(publish: (text: string) => Promise<void>): void {
    this.#publishers += 1;
    this.#add(publishInTurn(this.#numbersOf(this.#publishers), publish));
  }

  #add(lane: Promise<void>): void {
    this.#lanes.push(lane);
    // Whoever stops the publishers is told.
    lane.catch(() => {});
  }

  #startOverSocket(): void {
    this.#publishers += 1;
    const numbers = this.#numbersOf(this.#publishers);
    const socket = openRoomSocket(this.#place, `publisher-${this.#publishers}`);
    const publish = (text: string): Promise<void> => this.#publishBy(socket, text);
    this.#sockets.push(socket);
    for (let lane = 0; lane < inFlight; lane += 1) this.#add(publishInTurn(numbers, publish));
  }

  /** Texts of its numbers, until publishers are stopped. */
  *#numbersOf(publisher: number): Generator<string, undefined> {
    for (let number = 1; !this.#isStopped; number += 1) {
      yield String(publisher * numbersEach + number);
    }
  }

  async #insist(text: string): Promise<void> {
    while (!(await this.#post(text, { "idempotency-key": text })) && !this.#isOver) {
      this.repeated.add(text);
      await pause(pauseMs);
    }
  }

  async #tryOnce(text: string): Promise<void> {
    if (await this.#post(text, {})) return;
    this.lost.push(text);
    await pause(pauseMs);
  }

  async #publishBy(socket: RoomSocket, text: string): Promise<void> {
    this.answers.push({ ...v.parse(receiptSchema, await socket.publish(text)), text });
  }

  /** Whether there was an answer. Any but a place in the order, or that it is not now, is a fault. */
  async #post(text: string, headers: Readonly<Record<string, string>>): Promise<boolean> {
    const url = `http://127.0.0.1:${this.#place.port}/parties/router/${this.#place.room}`;
    const response = await fetch(url, { method: "POST", body: text, headers }).catch(() => null);
    const body = await response?.text().catch(() => null);
    if (response === null || body === null || body === undefined) return false;
    if (response.status === 429 || response.status >= 500) return false;
    if (response.status !== 200) throw new Error(`${text} was answered ${response.status} ${body}`);
    this.answers.push({ ...v.parse(receiptSchema, JSON.parse(body)), text });
    return true;
  }
}

/** Who published this number. */
export function publisherOf(text: string): number {
  return Math.floor(Number(text) / numbersEach);
}

/** Lanes may share their numbers: each takes the next when it is done with one. */
async function publishInTurn(
  numbers: Iterable<string>,
  publish: (text: string) => Promise<void>,
): Promise<void> {
  for (const text of numbers) await publish(text);
}
