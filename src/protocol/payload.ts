/**
 * What one message carries, as it travels between objects, rests in the log and is written into
 * frames: text as itself, bytes as base64. Sockets and room classes see `MessageData` instead.
 */
import * as v from "valibot";

/** A message as the room class and the sockets see it. */
export type MessageData = string | Uint8Array;

/** A message in any of the forms that platforms and room classes hand on. */
export type RawMessage = string | ArrayBuffer | ArrayBufferView;

export function isRawMessage(value: unknown): value is RawMessage {
  return typeof value === "string" || value instanceof ArrayBuffer || ArrayBuffer.isView(value);
}

export function toMessageData(data: RawMessage): MessageData {
  if (typeof data === "string") return data;
  if (data instanceof ArrayBuffer) return new Uint8Array(data);
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Base64 as `btoa` writes it: a whole number of fours, padded. */
function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}

const base64Schema = v.pipe(v.string(), v.check(isBase64, "bytes must be base64"));

export const payloadSchema = v.union([v.string(), v.strictObject({ base64: base64Schema })]);
export type Payload = v.InferOutput<typeof payloadSchema>;

/** Bytes turned to text in slices, since a call takes a bounded number of arguments. */
const sliceBytes = 0x8000;

export function encodePayload(data: MessageData): Payload {
  if (typeof data === "string") return data;
  let binary = "";
  for (let start = 0; start < data.length; start += sliceBytes) {
    binary += String.fromCharCode(...data.subarray(start, start + sliceBytes));
  }
  return { base64: btoa(binary) };
}

/** Takes whatever `payloadSchema` lets through. */
export function decodePayload(payload: Payload): MessageData {
  if (typeof payload === "string") return payload;
  const binary = atob(payload.base64);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Size of a payload's text in UTF-16 units. */
export function payloadUnits(payload: Payload): number {
  return typeof payload === "string" ? payload.length : payload.base64.length;
}

const encoder = new TextEncoder();

/** Size of what a payload carries, in bytes: text as UTF-8. */
export function payloadBytes(payload: Payload): number {
  if (typeof payload === "string") return encoder.encode(payload).length;
  const { base64 } = payload;
  const padding = base64.endsWith("==") ? 2 : Number(base64.endsWith("="));
  return (base64.length / 4) * 3 - padding;
}
