/** Messages as applications know them, to and from the payloads of frames. */
import type { Payload } from "../src/protocol/payload.ts";

/** What may be published and sent: text, or bytes. */
export type OutgoingData = string | ArrayBuffer | ArrayBufferView;

/** Throws a `TypeError` for anything else, as `DataView` does for what is no buffer. */
export function toPayload(data: OutgoingData): Payload {
  if (typeof data === "string") return data;
  const view = ArrayBuffer.isView(data) ? data : new DataView(data);
  let binary = "";
  for (const byte of new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
    binary += String.fromCharCode(byte);
  return { base64: btoa(binary) };
}

export function fromPayload(payload: Payload): string | Uint8Array<ArrayBuffer> {
  if (typeof payload === "string") return payload;
  return Uint8Array.from(atob(payload.base64), (character) => character.charCodeAt(0));
}
