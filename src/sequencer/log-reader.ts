/** What of the log is read from outside: history, or for a shard's state all that is kept. */
import type { DeliveryLog } from "../core/delivery-log.ts";
import type { LogRange } from "../protocol/calls.ts";
import { sliceFrame, type Position } from "../protocol/link.ts";

/** UTF-16 units of frames that a room keeps as history, and that one call carries. */
export const historyUnits = 4 * 1024 * 1024;

type Question = {
  readonly position: Position | null;
  readonly limit?: number | undefined;
  readonly isForState?: boolean | undefined;
};

export function readLog(log: DeliveryLog, epoch: string, asked: Question, now: number): LogRange {
  const isForState = asked.isForState === true;
  // The log may hold older messages, for shards that are behind: else history alone is read.
  const start = isForState ? log.start : log.history(now).first - 1;
  const { position, limit = Infinity } = asked;
  const { head } = log;
  const seq = position?.epoch === epoch ? position.seq : start;
  const after = Math.max(Math.min(seq, head), start);
  const frames: string[] = [];
  let units = 0;
  for (const batch of log.since(after) ?? []) {
    if (batch.after - after >= limit) break;
    if (isForState && units > 0 && units + batch.frame.length > historyUnits) break;
    frames.push(batch.after < start ? sliceFrame(batch.frame, start) : batch.frame);
    units += batch.frame.length;
  }
  return { epoch, after, through: head, frames };
}
