/** What the hosts of shards do wrong on purpose, when the world's options say so. */
import { noSeat, type Entry } from "../../src/shard/admission.ts";
import type { MessageData } from "../../src/protocol/payload.ts";
import type { Result } from "../../src/protocol/result.ts";
import type { Client } from "./client.ts";
import type { PlantedBug } from "./environment.ts";
import type { Link } from "./link.ts";

type Planted = PlantedBug | undefined;

/** What a shard is to know after it has slept is lost. */
export function forgetAsPlanted(
  planted: Planted,
  links: Iterable<Link>,
  rows: Map<string, unknown>,
): void {
  if (planted === "positions-forgotten") {
    for (const link of links) link.kept = null;
    rows.delete("shard");
  }
  if (planted !== "topics-forgotten") return;
  for (const name of rows.keys()) if (name.startsWith("client/")) rows.delete(name);
}

/** A client that comes back is told that it goes on where it was, whatever the shard has. */
export function sendAsPlanted(planted: Planted, client: Client, data: MessageData): MessageData {
  const { resume } = client.visitor.request;
  if (planted !== "resumed-unread" || resume === null || typeof data !== "string") return data;
  if (!data.startsWith('{"type":"welcome"')) return data;
  const welcome = JSON.parse(data) as { readonly epoch: string };
  if (welcome.epoch !== resume.epoch) return data;
  return JSON.stringify({ ...welcome, recovered: true, seq: resume.seq });
}

/** Waits for a refusal that comes at once, and not for the subscription. */
export async function takenForGranted(): Promise<Result<Entry>> {
  for (let turn = 0; turn < 8; turn += 1) await Promise.resolve();
  return { ok: true, value: noSeat };
}
