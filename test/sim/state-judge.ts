/**
 * Whether the state of room classes is the fold of the log: in every snapshot that is stored, by its
 * own position, and on every shard with clients once the world rests.
 */
import { decodeSnapshot } from "../../src/core/snapshot-value.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import { partPrefix, snapshotPrefix } from "../../src/registry/snapshots.ts";
import type { DurableLog } from "./durable-log.ts";
import { Violation } from "./environment.ts";
import { emptyLedger, entered, isEqual, parseLedger, type Ledger } from "./ledger.ts";
import type { Rows } from "./storage.ts";

type SnapshotRow = { readonly newest: { readonly id: string; readonly position: Position } | null };

export type StateScene = {
  readonly room: string;
  readonly roomType: string;
  readonly log: DurableLog;
  /** The registry's durable rows. */
  readonly rows: () => ReadonlyMap<string, unknown>;
};

export class StateJudge {
  readonly #scene: StateScene;
  /** What the log's messages come to, by the number of the last. */
  readonly #folds: Ledger[] = [emptyLedger];
  /** The room class of the present life of each shard. */
  readonly #ledgers = new Map<ShardId, () => Ledger>();
  #judged = "";
  stored = 0;

  constructor(scene: StateScene) {
    this.#scene = scene;
  }

  /** The shard's room class begins. */
  began(shard: ShardId, ledger: () => Ledger): void {
    this.#ledgers.set(shard, ledger);
  }

  /** Rows of the registry have become durable. */
  registryStored(puts: readonly Rows[]): void {
    const { room } = this.#scene;
    for (const rows of puts) {
      const row = rows[snapshotPrefix + room] as SnapshotRow | undefined;
      if (row?.newest === undefined || row.newest === null) continue;
      if (row.newest.id !== this.#judged) this.#checkSnapshot(row.newest);
    }
  }

  /** The shard has clients, and has been sent the log's last message. */
  checkShard(shard: ShardId): void {
    const ledger = this.#ledgers.get(shard)?.();
    if (ledger !== undefined) this.#check(ledger, this.#scene.log.head, shard);
  }

  #checkSnapshot({ id, position }: { readonly id: string; readonly position: Position }): void {
    const { room, roomType, rows } = this.#scene;
    const prefix = `${partPrefix}${room}/${id}/`;
    const keys = [...rows().keys()].filter((key) => key.startsWith(prefix)).toSorted();
    // It has been replaced by a write that landed with it.
    if (keys.length === 0) return;
    this.#judged = id;
    this.stored += 1;
    const text = keys.map((key) => String(rows().get(key))).join("");
    const decoded = decodeSnapshot(roomType, text);
    const ledger = decoded.ok ? parseLedger(decoded.value) : null;
    if (ledger === null) throw new Violation("SN3", `snapshot ${id} is "${text}"`);
    this.#check(ledger, position.seq, `snapshot ${id}`);
  }

  #check(ledger: Ledger, seq: number, whose: string): void {
    const fold = this.#foldThrough(seq);
    if (isEqual(ledger, fold)) return;
    const { count } = ledger;
    throw new Violation("SN9", `${whose} holds ${count} messages, not the first ${seq} of the log`);
  }

  #foldThrough(seq: number): Ledger {
    for (let next = this.#folds.length; next <= seq; next += 1) {
      const text = this.#scene.log.at(next);
      if (text === undefined) throw new Violation("DL2", `message ${next} is not durable`);
      this.#folds.push(entered(this.#folds[next - 1] ?? emptyLedger, next, text));
    }
    return this.#folds[seq] ?? emptyLedger;
  }
}
