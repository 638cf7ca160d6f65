/**
 * Digests in virtual time. The platform makes them in another thread, which takes real time that a
 * simulated world knows nothing of; here each is ready in the turn in which it is asked for.
 */
import { createHash } from "node:crypto";

const names = new Map([["SHA-256", "sha256"]]);

const digestAtOnce: SubtleCrypto["digest"] = async (algorithm, data) => {
  const name = names.get(typeof algorithm === "string" ? algorithm : algorithm.name);
  if (name === undefined) throw new TypeError("a digest of another kind");
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  return new Uint8Array(createHash(name).update(bytes).digest()).buffer;
};

export function makeDigestsAtOnce(): void {
  Object.defineProperty(crypto.subtle, "digest", { value: digestAtOnce, configurable: true });
}
