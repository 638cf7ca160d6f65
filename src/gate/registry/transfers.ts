/**
 * Snapshots as game servers outside store and read them over HTTP: in parts, each checked, and the
 * whole in place of the one before or not at all. Knows nothing of what a snapshot means.
 */
import type { RoomId } from "../../protocol/names.ts";
import type { BodyOf } from "../../protocol/registry.ts";
import { isProblemCode, type ProblemCode } from "../../protocol/problems.ts";
import type { Failure } from "../../protocol/result.ts";
import { jsonResponse, refusal, type Refusal } from "../http.ts";
import { roomNamed } from "./rooms.ts";
import type { Ask } from "./route.ts";

/** A part of 524,288 characters, however JSON writes them, and what goes with it. */
export const maxTransferBytes = 4 * 1024 * 1024;

export async function transferSnapshot(
  { rooms, ports, name }: Ask,
  body: BodyOf<"transferSnapshot">,
): Promise<Response | Refusal> {
  const room = roomNamed(name, rooms);
  if (!room.ok) return room;
  const partition = { role: "registry", id: rooms.partitionOf(room.value) } as const;
  const answer = await ports.calls.call(partition, questionOf(room.value, body));
  return answer.ok ? jsonResponse(answer.value) : refusal(codeOf(answer), answer.detail);
}

function questionOf(room: RoomId, body: BodyOf<"transferSnapshot">) {
  switch (body.type) {
    case "begin": {
      const { serverId: server, instance, seq, digests } = body;
      return { type: "beginHosted", room, server, instance, seq, digests } as const;
    }
    case "part": {
      const { id, index, text } = body;
      return { type: "snapshotPart", room, id, index, text } as const;
    }
    case "commit": {
      const { serverId: server, instance, id } = body;
      return { type: "commitHosted", room, server, instance, id } as const;
    }
    case "state": {
      const { type: _, serverId: server, ...said } = body;
      return { type: "hostedState", room, server, ...said } as const;
    }
    case "newest":
      return { type: "snapshot", room } as const;
    case "read":
      return { type: "readSnapshot", room, id: body.id, index: body.index } as const;
  }
}

function codeOf({ code }: Failure): ProblemCode {
  if (code === "not-found") return "no-snapshot";
  if (code === "snapshot-damaged") return "state-failed";
  if (code === "malformed-call") return "malformed-body";
  return isProblemCode(code) && code !== "overloaded" ? code : "unavailable";
}
