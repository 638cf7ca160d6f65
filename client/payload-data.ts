/** Messages as applications know them, to and from the payloads of frames. */
import type { Payload } from "../src/protocol/payload.ts";

/** What may be published and sent: text, or bytes. */
export type OutgoingData = string | ArrayBuffer | ArrayBufferView;

export function toPayload(data: OutgoingData): Payload {
  if (typeof data === "string") return data;
  const bytes = ArrayBuffer.isView(data)
    ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength)
    : new Uint8Array(data);
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return { base64: btoa(binary) };
}

export function fromPayload(payload: Payload): string | Uint8Array<ArrayBuffer> {
  if (typeof payload === "string") return payload;
  return Uint8Array.from(atob(payload.base64), (character) => character.charCodeAt(0));
}
