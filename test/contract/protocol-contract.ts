/**
 * Protocol 1, by theme. `describeProtocol` holds for every app with the room types of the shipped one,
 * `describeProtocolClasses` for the app in `test/support/apps`.
 */
import type { RoomsHost } from "./host.ts";
import { describeFrames } from "./protocol-frames-contract.ts";
import { describePublishOverSocket } from "./protocol-publish-contract.ts";
import { describeReading } from "./protocol-reading-contract.ts";
import { describeResuming } from "./protocol-resuming-contract.ts";
import { describeProtocolHooks } from "./protocol-room-class-contract.ts";
import { describeTopics } from "./protocol-topics-contract.ts";
import { describeWindow } from "./protocol-window-contract.ts";

export function describeProtocol(host: RoomsHost): void {
  describeFrames(host);
  describeResuming(host);
  describeTopics(host);
  describeReading(host);
  describeWindow(host);
}

export function describeProtocolClasses(host: RoomsHost): void {
  describePublishOverSocket(host);
  describeProtocolHooks(host);
}
