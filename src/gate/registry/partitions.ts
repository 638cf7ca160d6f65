/** Questions to the registry's partitions, and their failures as refusals. */
import { partitionNames } from "../../core/partitions.ts";
import type { ReplyTo, RequestTo } from "../../protocol/calls.ts";
import { isProblemCode } from "../../protocol/problems.ts";
import { success, type Failure, type Success } from "../../protocol/result.ts";
import { refusal, type Refusal } from "../http.ts";
import type { GatePorts } from "../ports.ts";
import type { Ask } from "./route.ts";

type Question = RequestTo<"registry">;
type Reply<Request extends Question> = ReplyTo<"registry", Request>;

export async function askPartition<Request extends Question>(
  ports: GatePorts,
  partition: string,
  request: Request,
): Promise<Success<Reply<Request>> | Refusal> {
  const result = await ports.calls.call({ role: "registry", id: partition }, request);
  return result.ok ? result : refusalOf(result);
}

/** All partitions at once: all replies in the order of the partitions, or none. */
export async function askAll<Request extends Question>(
  { rooms, ports }: Pick<Ask, "rooms" | "ports">,
  request: Request,
): Promise<Success<Reply<Request>[]> | Refusal> {
  const names = partitionNames(rooms.deployment.partitions);
  const answers = await Promise.all(names.map((name) => askPartition(ports, name, request)));
  const replies: Reply<Request>[] = [];
  for (const answer of answers) {
    if (!answer.ok) return answer;
    replies.push(answer.value);
  }
  return success(replies);
}

/** What an object refused for a reason of its own stays; what was lost on the way is `unavailable`. */
function refusalOf({ code, detail, retryAfterMs }: Failure): Refusal {
  if (isProblemCode(code) && code !== "unavailable" && code !== "overloaded") {
    if (retryAfterMs === undefined) return refusal(code, detail);
    return refusal(code, detail, { "retry-after": `${Math.ceil(retryAfterMs / 1_000)}` });
  }
  return refusal("unavailable", "the registry cannot be reached at the moment; try again");
}
