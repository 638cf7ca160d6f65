/**
 * The truth about a room: every message whose log row became durable, with its number. Read from
 * the sequencer's rows as they land, so that no role's word is taken for it.
 */
import { parseFrameToShard } from "../../src/protocol/link.ts";
import { decodePayload, type MessageData } from "../../src/protocol/payload.ts";
import { Violation } from "./environment.ts";
import type { Rows } from "./storage.ts";

type LogRow = { readonly parts: number; readonly text: string };

export class DurableLog {
  epoch: string | null = null;
  /** Texts by sequence number. */
  readonly #messages = new Map<number, string>();
  readonly #topics = new Map<number, string>();
  readonly #numbers = new Map<string, number[]>();
  head = 0;

  /** Takes in the log rows among those that just became durable. */
  read(puts: readonly Rows[]): void {
    for (const rows of puts) {
      for (const [name, row] of Object.entries(rows)) {
        if (/^log\/\d+$/.test(name)) this.#take(name, row as LogRow, rows);
      }
    }
  }

  at(seq: number): string | undefined {
    return this.#messages.get(seq);
  }

  /** `null` for a message without a topic, and for one that there is not. */
  topicAt(seq: number): string | null {
    return this.#topics.get(seq) ?? null;
  }

  /** The numbers that a text was given; more than one when a write was made twice. */
  numbersOf(text: string): readonly number[] {
    return this.#numbers.get(text) ?? [];
  }

  #take(name: string, { parts, text }: LogRow, rows: Rows): void {
    const texts = [text];
    for (let part = 1; part <= parts; part += 1) texts.push(String(rows[`${name}/${part}`]));
    const frame = parseFrameToShard(texts.join("").split("\n")[0] ?? "");
    if (!frame.ok || frame.value.type !== "batch") throw new Violation("DL2", `bad row ${name}`);
    const { epoch, after, through, entries, topics } = frame.value;
    this.epoch ??= epoch;
    if (epoch !== this.epoch) throw new Violation("DL5", `a second epoch ${epoch} was stored`);
    if (after !== this.head) {
      throw new Violation("DL1", `a batch after ${after} was stored behind message ${this.head}`);
    }
    for (const [index, entry] of entries.entries()) {
      this.#add(after + 1 + index, textOf(decodePayload(entry)), topics?.[index] ?? null);
    }
    this.head = through;
  }

  #add(seq: number, text: string, topic: string | null): void {
    this.#messages.set(seq, text);
    if (topic !== null) this.#topics.set(seq, topic);
    const numbers = this.#numbers.get(text);
    if (numbers === undefined) this.#numbers.set(text, [seq]);
    else numbers.push(seq);
  }
}

export function textOf(data: MessageData): string {
  return typeof data === "string" ? data : new TextDecoder().decode(data);
}
