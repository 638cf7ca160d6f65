/**
 * What the parts of the registry share: the dispatcher gives them these, and they know nothing of
 * each other's requests.
 */
import type { ObjectPorts } from "../core/ports.ts";
import type { Rooms } from "../core/rooms.ts";
import type { AnyReply, ReplyTo, RequestTo } from "../protocol/calls.ts";
import type { RegistryEventBody } from "../protocol/registry.ts";
import { failure, type Failure, type Result } from "../protocol/result.ts";

export type RegistryRequest = RequestTo<"registry">;
/** The request of this type. */
export type RequestOf<Type extends RegistryRequest["type"]> = Extract<
  RegistryRequest,
  { type: Type }
>;
export type RegistryReply = Result<AnyReply<"registry">>;

/** A part that has something to do when its time comes. */
export type Waking = {
  /** When `wake` is to be called, or `null`. */
  nextDeadline(): number | null;
  wake(now: number): void;
};

export type RegistryOwner = {
  /** This partition's name. */
  readonly name: string;
  readonly rooms: Rooms;
  readonly ports: ObjectPorts;
  readonly emit: (event: RegistryEventBody) => void;
  /** For the metrics: refusals and losses, by name. */
  readonly count: (what: string) => void;
  /** Some part's next deadline may have changed. */
  readonly rearm: () => void;
  /** Resolves when the work is done, or so much later. */
  readonly within: (ms: number, work: Promise<unknown>) => Promise<void>;
  /** Asks a partition, which may be this one. */
  readonly ask: <Request extends RegistryRequest>(
    partition: string,
    request: Request,
  ) => Promise<Result<ReplyTo<"registry", Request>>>;
};

/** An object's failure as the registry answers it: what could not be reached may be tried again. */
export function asProblem({ code, detail }: Failure): Failure {
  const isLost = code === "unreachable" || code === "overloaded" || code === "malformed-call";
  return isLost ? failure("unavailable", detail) : failure(code, detail);
}
