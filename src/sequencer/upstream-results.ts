/** What becomes of the writes of a shard's clients, told by the lives of the room they were made in. */
import type { Published, PublishRequest } from "../protocol/calls.ts";
import {
  encodeFrame,
  splitFrame,
  type UpstreamResult,
  type UpstreamWrite,
} from "../protocol/link.ts";
import type { Result } from "../protocol/result.ts";

/** By epoch: the room may be disposed while writes are under way. */
export type ResultsByLife = ReadonlyMap<string, readonly UpstreamResult[]>;

/** Publishes them all, in order: each has an idempotency key and one message. */
export async function publishUpstream(
  writes: readonly UpstreamWrite[],
  publish: (request: PublishRequest) => Promise<Result<Published>>,
  epoch: () => string,
): Promise<ResultsByLife> {
  const made = await Promise.all(
    writes.map(async ({ id, message, key, series, topic }) => {
      const result = await publish({
        ...({ type: "publish", messages: [message], volatile: false } as const),
        waitDelivered: false,
        key,
        ...(topic === undefined ? {} : { topic }),
        ...(series === undefined ? {} : { series }),
      });
      if (result.ok) return [result.value.epoch, { id, seq: result.value.seq }] as const;
      return [epoch(), { id, code: result.code, detail: result.detail }] as const;
    }),
  );
  return byLife(made);
}

function byLife(made: readonly (readonly [string, UpstreamResult])[]): ResultsByLife {
  const lives = Map.groupBy(made, ([epoch]) => epoch);
  return new Map([...lives].map(([epoch, all]) => [epoch, all.map(([, result]) => result)]));
}

/** Parts of frames, in order. */
export function encodeResults(lives: ResultsByLife): string[] {
  return [...lives].flatMap(([epoch, results]) =>
    splitFrame(encodeFrame({ type: "results", epoch, results: [...results] })),
  );
}
