/** What becomes of the writes of a shard's clients, told by the lives of the room they were made in. */
import { encodeFrame, splitFrame, type UpstreamResult } from "../protocol/link.ts";

/** By epoch: the room may be disposed while writes are under way. */
export type ResultsByLife = ReadonlyMap<string, readonly UpstreamResult[]>;

export function byLife(made: readonly (readonly [string, UpstreamResult])[]): ResultsByLife {
  const lives = Map.groupBy(made, ([epoch]) => epoch);
  return new Map([...lives].map(([epoch, all]) => [epoch, all.map(([, result]) => result)]));
}

/** Parts of frames, in order. */
export function encodeResults(lives: ResultsByLife): string[] {
  return [...lives].flatMap(([epoch, results]) =>
    splitFrame(encodeFrame({ type: "results", epoch, results: [...results] })),
  );
}
