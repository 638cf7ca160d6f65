/** What befalls objects: a test makes it happen at the moment it wants. */
import { runInDurableObject } from "cloudflare:test";
import { expect } from "vitest";

/** Ends an object at once, as a crash does: its memory and its sockets are gone. */
export async function kill(stub: DurableObjectStub): Promise<void> {
  const ended = runInDurableObject(stub, (_, state) => state.abort("killed"));
  await expect(ended).rejects.toThrow("killed");
}
