/**
 * What a new life of a shard takes up of the former one: its row, and the sockets that outlived its
 * memory. Knows nothing of what comes after.
 */
import * as v from "valibot";
import type { Storage } from "../core/ports.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import { positionSchema } from "../protocol/link.ts";
import type { Clients, ClientSocket } from "./clients.ts";
import type { FanOut } from "./fan-out.ts";
import type { IncomingLink, Intake } from "./intake.ts";
import type { LoadReporter } from "./load-reporter.ts";
import type { Subscription } from "./subscription.ts";

/** Written when a subscription begins and when a link ends. */
const rowSchema = v.object({ subscription: v.string(), position: positionSchema });

export type RevivalOwner = {
  readonly storage: Storage;
  readonly clients: Clients;
  readonly subscription: Subscription;
  readonly fanOut: FanOut;
  readonly intake: Intake;
  readonly reporter: LoadReporter;
};

export async function revive(
  { storage, clients, subscription, fanOut, intake, reporter }: RevivalOwner,
  former: Iterable<ClientSocket>,
  links: Iterable<IncomingLink>,
): Promise<void> {
  const survivors = [...former];
  const all = await clients.restoreSeats(survivors);
  const rows = await storage.list("shard");
  const row = v.safeParse(rowSchema, rows.get("shard"));
  // Without clients nobody is owed anything: the past of this object does not matter.
  if (all.length === 0) {
    await clients.restore([], 0);
    for (const link of links) link.close(closeCodes.noClients, "no clients");
    // The former life may have died before it told of its last change.
    reporter.changed();
    if (!row.success) return;
    storage.delete(["shard"]);
    subscription.endFormer(row.output.subscription);
    return;
  }
  if (row.success) {
    subscription.restore(row.output.subscription);
    fanOut.advance(row.output.position);
  }
  for (const socket of links) intake.restore(socket);
  await clients.restore(all, fanOut.position?.seq ?? null);
  // Some may have to come again, perhaps all.
  if (clients.size < survivors.length) reporter.changed();
}
