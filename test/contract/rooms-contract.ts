/**
 * What both hosts answer alike, seen from outside. `describeRooms` holds for every app with the room
 * types of the shipped one; `describeRoomClasses` for the app in `test/support/apps`.
 */
import { describe } from "vitest";
import { describeBoundary } from "./boundary-contract.ts";
import { describeCapacity } from "./capacity-contract.ts";
import { describeConnecting } from "./connecting-contract.ts";
import { describeFailover } from "./failover-contract.ts";
import type { RoomsHost } from "./host.ts";
import { describeAudience, describeLayout } from "./layout-contract.ts";
import { describeMembers } from "./members-contract.ts";
import { describeProtocol, describeProtocolClasses } from "./protocol-contract.ts";
import { describeClassPublishing } from "./class-publishing-contract.ts";
import { describePublishing } from "./publishing-contract.ts";
import { describeRegistryRooms } from "./registry-rooms-contract.ts";
import { describeRegistrySeats } from "./registry-seats-contract.ts";
import { describeRegistryServers } from "./registry-servers-contract.ts";
import { describeRefusals } from "./refusals-contract.ts";
import { describeHooks } from "./room-class-contract.ts";
import { describeSeats } from "./seats-contract.ts";

export function describeRooms(host: RoomsHost): void {
  describe(`on ${host.name}`, () => {
    describeConnecting(host);
    describePublishing(host);
    describeRefusals(host);
    describeBoundary(host);
    describeProtocol(host);
    describeSeats(host);
    describeRegistryRooms(host);
    describeRegistrySeats(host);
    describeLayout(host);
    describeRegistryServers(host);
  });
}

export function describeRoomClasses(host: RoomsHost): void {
  describe(`on ${host.name}`, () => {
    describeCapacity(host);
    describeAudience(host);
    describeFailover(host);
    describeHooks(host);
    describeClassPublishing(host);
    describeProtocolClasses(host);
    describeMembers(host);
  });
}
