/**
 * Snapshots of a game server's rooms at the registry, over HTTP. Translates; knows nothing of what is
 * in them, or of when they are taken.
 */
import type { RegistryClient, RegistryProblem } from "../../../client/registry-client.ts";
import { problemType } from "../../../client/registry-client.ts";
import { hub } from "../../core/partitions.ts";
import type { Caller } from "../../core/ports.ts";
import { SnapshotStore, type ReadSnapshot } from "../../core/snapshot-store.ts";
import type { ReplyTo, RequestTo, Role } from "../../protocol/calls.ts";
import type { RoomId } from "../../protocol/names.ts";
import type { BodyInput } from "../../protocol/registry.ts";
import { failure, success, type Failure, type Result } from "../../protocol/result.ts";
import type { SnapshotInfo } from "../../protocol/snapshot.ts";

/** How a start of a game server reaches its rooms' partitions. */
export type Tenancy = {
  readonly client: Pick<RegistryClient, "transferSnapshot">;
  readonly serverId: string;
  readonly instance: () => string;
};

/** Counts the snapshots of this process. */
let count = 0;

export class RoomSnapshots {
  readonly #options: Tenancy;

  constructor(options: Tenancy) {
    this.#options = options;
  }

  /** The newest one's text, or `null` where the room has none. */
  async read(room: RoomId): Promise<Result<ReadSnapshot | null>> {
    const read = await this.#of(room).read();
    return !read.ok && read.code === "no-snapshot" ? success(null) : read;
  }

  /** In place of the one before, if this server has the room. */
  store(room: RoomId, text: string): Promise<Result<SnapshotInfo>> {
    count += 1;
    // The registry knows the epoch: one for each server that has the room.
    return this.#of(room).store({ epoch: this.#options.serverId, seq: count }, text);
  }

  #of(room: RoomId): SnapshotStore {
    return new SnapshotStore(room, hub, this.#caller(room));
  }

  #caller(room: RoomId): Caller {
    return {
      call: async <R extends Role, Request extends RequestTo<R>>(
        _to: unknown,
        request: Request,
      ): Promise<Result<ReplyTo<R, Request>>> => {
        const body = this.#bodyOf(request);
        if (body === null) return failure("malformed-call", `${request.type} is not for servers`);
        const answer = await this.#options.client.transferSnapshot(room, body);
        return answer.ok ? success(answer.value as ReplyTo<R, Request>) : asFailure(answer.problem);
      },
    };
  }

  #bodyOf(request: RequestTo<Role>): BodyInput<"transferSnapshot"> | null {
    const { serverId, instance } = this.#options;
    switch (request.type) {
      case "beginSnapshot": {
        const { position, digests } = request;
        const from = { serverId, instance: instance() };
        return { type: "begin", ...from, seq: position.seq, digests };
      }
      case "snapshotPart":
        return { type: "part", id: request.id, index: request.index, text: request.text };
      case "commitSnapshot":
        return { type: "commit", serverId, instance: instance(), id: request.id };
      case "snapshot":
        return { type: "newest" };
      case "readSnapshot":
        return { type: "read", id: request.id, index: request.index };
      default:
        return null;
    }
  }
}

const codePattern = new RegExp(`^${problemType("(.+)")}$`);

/** A registry that was not reached may be asked again. */
function asFailure({ type, detail }: RegistryProblem): Failure {
  const code = codePattern.exec(type)?.[1] ?? "unavailable";
  return failure(code === "unavailable" ? "unreachable" : code, detail);
}
