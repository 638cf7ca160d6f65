/**
 * The room's snapshot as others than its registry reach it: stored and read in parts at the registry, each checked.
 * Knows nothing of the room class.
 */
import { piecesOf } from "./pieces.ts";
import type { Caller } from "./ports.ts";
import type { ReplyTo, RequestTo } from "../protocol/calls.ts";
import type { Position } from "../protocol/link.ts";
import type { RoomId } from "../protocol/names.ts";
import { failure, success, type Result } from "../protocol/result.ts";
import {
  digestOf,
  maxSnapshotUnits,
  snapshotPartUnits,
  type SnapshotInfo,
} from "../protocol/snapshot.ts";

/** A call whose answer was lost is made again so often in all. */
const attempts = 2;
/** A snapshot that is replaced while it is read is begun anew so often. */
const readings = 5;

export type ReadSnapshot = { readonly info: SnapshotInfo; readonly text: string };

export class SnapshotStore {
  readonly #room: RoomId;
  readonly #registry: string;
  readonly #calls: Caller;

  constructor(room: RoomId, registry: string, calls: Caller) {
    this.#room = room;
    this.#registry = registry;
    this.#calls = calls;
  }

  newest(): Promise<Result<SnapshotInfo>> {
    return this.#ask({ type: "snapshot", room: this.#room });
  }

  async read(): Promise<Result<ReadSnapshot>> {
    for (let reading = 1; ; reading += 1) {
      const newest = await this.newest();
      if (!newest.ok) return newest;
      const text = await this.#readParts(newest.value);
      if (text.ok) return success({ info: newest.value, text: text.value });
      if (text.code !== "snapshot-superseded" || reading === readings) return text;
    }
  }

  /** `isTimed`: nobody asked for it, and it gives way to one on its way. */
  async store(position: Position, text: string, isTimed = false): Promise<Result<SnapshotInfo>> {
    if (text.length > maxSnapshotUnits) {
      const detail = `the state is ${text.length} characters of text; ${maxSnapshotUnits} is the most`;
      return failure("snapshot-too-large", detail);
    }
    const parts = piecesOf(text, snapshotPartUnits);
    const room = this.#room;
    const digests: string[] = [];
    for (const part of parts) digests.push(await digestOf(part));
    const how = isTimed ? { isTimed } : {};
    const begun = await this.#ask({ type: "beginSnapshot", room, position, digests, ...how });
    if (!begun.ok) return begun;
    const { id } = begun.value;
    for (const [index, part] of parts.entries()) {
      const sent = await this.#ask({ type: "snapshotPart", room, id, index, text: part });
      if (!sent.ok) return sent;
    }
    return this.#ask({ type: "commitSnapshot", room, id });
  }

  async #readParts({ id, digests }: SnapshotInfo): Promise<Result<string>> {
    const parts: string[] = [];
    for (const [index, digest] of digests.entries()) {
      const part = await this.#ask({ type: "readSnapshot", room: this.#room, id, index });
      if (!part.ok) return part;
      if ((await digestOf(part.value.text)) !== digest) {
        return failure("snapshot-damaged", `part ${index} is not what was stored`);
      }
      parts.push(part.value.text);
    }
    return success(parts.join(""));
  }

  async #ask<Request extends RequestTo<"registry">>(
    request: Request,
  ): Promise<Result<ReplyTo<"registry", Request>>> {
    const registry = { role: "registry", id: this.#registry } as const;
    for (let attempt = 1; ; attempt += 1) {
      const result = await this.#calls.call(registry, request);
      if (result.ok || result.code !== "unreachable" || attempt === attempts) return result;
    }
  }
}
