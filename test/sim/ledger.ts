/**
 * The state of a simulated room class: how many messages it was handed and a running hash of them. Two
 * ledgers are equal only when they were handed the same messages in the same order.
 */
import * as v from "valibot";

const ledgerSchema = v.strictObject({ count: v.number(), hash: v.number() });
export type Ledger = v.InferOutput<typeof ledgerSchema>;

export const emptyLedger: Ledger = { count: 0, hash: 0x811c9dc5 };

/** FNV-1a over the message's number and text. */
export function entered({ count, hash }: Ledger, seq: number, text: string): Ledger {
  let next = hash;
  for (const unit of `${seq} ${text}\n`) next = Math.imul(next ^ unit.charCodeAt(0), 0x01000193);
  return { count: count + 1, hash: next >>> 0 };
}

export function isEqual(one: Ledger, other: Ledger): boolean {
  return one.count === other.count && one.hash === other.hash;
}

export function parseLedger(value: unknown): Ledger | null {
  const parsed = v.safeParse(ledgerSchema, value);
  return parsed.success ? parsed.output : null;
}
