/** Names of a room's lives. Knows nothing of what happens in them. */
import type { ObjectPorts } from "../core/ports.ts";

/** Later lives of a room sort after earlier ones; `former` is the name of the one before, or empty. */
export function newEpoch({ clock, entropy }: ObjectPorts, former: string): string {
  const begun = Number.parseInt(former, 36);
  const time = Number.isNaN(begun) ? clock.now() : Math.max(clock.now(), begun + 1);
  return `${time.toString(36).padStart(9, "0")}.${entropy.id()}`;
}
