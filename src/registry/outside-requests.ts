/** Gives each request about a room on a server outside to the part that answers it. Keeps nothing. */
import type { HostedRooms } from "./hosted-rooms.ts";
import type { HostedSnapshots } from "./hosted-snapshots.ts";
import type { HostedStates } from "./hosted-states.ts";
import type { RegistryReply, RequestOf } from "./part.ts";
import type { Relocation } from "./relocation.ts";

export type OutsideParts = {
  readonly hosted: HostedRooms;
  readonly relocation: Relocation;
  readonly hostedSnapshots: HostedSnapshots;
  readonly states: HostedStates;
};

type OutsideRequest = RequestOf<
  | "hosted"
  | "gone"
  | "relocate"
  | "beginHosted"
  | "commitHosted"
  | "hostedState"
  | "takeSnapshot"
  | "restoreSnapshot"
>;

export function answerOutside(
  { hosted, relocation, hostedSnapshots, states }: OutsideParts,
  request: OutsideRequest,
): RegistryReply | Promise<RegistryReply> {
  switch (request.type) {
    case "hosted":
      return hosted.hosted(request);
    case "gone":
      return hosted.gone(request);
    case "relocate":
      return relocation.relocate(request);
    case "beginHosted":
    case "commitHosted":
      return hostedSnapshots.handle(request);
    case "hostedState":
      return states.state(request);
    case "takeSnapshot":
    case "restoreSnapshot":
      return states.order(request);
    default:
      return request satisfies never;
  }
}
