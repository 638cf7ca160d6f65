/**
 * What one message carries, as it travels between objects, rests in the log and is written into
 * frames: text as itself, bytes as base64. Sockets and room classes see `MessageData` instead.
 */
import * as v from "valibot";

/** A message as the room class and the sockets see it. */
export type MessageData = string | Uint8Array;

export const payloadSchema = v.union([v.string(), v.strictObject({ base64: v.string() })]);
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

/** Throws on base64 that no `encodePayload` made; parsers of frames turn that into a result. */
export function decodePayload(payload: Payload): MessageData {
  if (typeof payload === "string") return payload;
  const binary = atob(payload.base64);
  return Uint8Array.from(binary, (character) => character.charCodeAt(0));
}

/** Size of a payload's text in UTF-16 units. */
export function payloadUnits(payload: Payload): number {
  return typeof payload === "string" ? payload.length : payload.base64.length;
}
