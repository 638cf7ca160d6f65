/**
 * Owns the message of a benchmark: 100 bytes of JSON text that carry the message's number and the
 * publishing lane at fixed places, so that a receiver reads them without parsing. The same holds
 * for the message as a string of JSON, which is how protocol 1 carries it.
 */

/** Bytes of every benchmark message (performance.md). */
export const messageBytes = 100;

const numberDigits = 9;
const laneDigits = 3;
const beforeNumber = '{"n":"';
const beforeLane = '","lane":"';
const numberOffset = beforeNumber.length;
const laneOffset = numberOffset + numberDigits + beforeLane.length;
const padding = "x".repeat(
  messageBytes - laneOffset - laneDigits - '","pad":"'.length - '"}'.length,
);
const zero = 48;

/** How many lanes a message can tell apart. */
export const maxLanes = 10 ** laneDigits;

/** Numbers count up from 0 in the order of publication, over all lanes. */
export function encodeMessage(number: number, lane: number): string {
  const digits = String(number).padStart(numberDigits, "0");
  const laneText = String(lane).padStart(laneDigits, "0");
  return `${beforeNumber}${digits}${beforeLane}${laneText}","pad":"${padding}"}`;
}

/** Bytes of every benchmark message as a string of JSON, quotes included. */
export const quotedBytes = JSON.stringify(encodeMessage(0, 0)).length;

const quotedNumberOffset = quotedLength(beforeNumber);
const quotedLaneOffset = quotedNumberOffset + numberDigits + quotedLength(beforeLane) - 1;

/** Up to the end of `text`, with the opening quote. */
function quotedLength(text: string): number {
  return JSON.stringify(text).length - 1;
}

/** The number of the message that starts at `start`, or -1 when those bytes are no message. */
export function readNumber(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + numberOffset, numberDigits);
}

/** The lane of the message that starts at `start`, or -1 when those bytes are no message. */
export function readLane(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + laneOffset, laneDigits);
}

/** As `readNumber`, where `start` is that of the string's opening quote. */
export function readQuotedNumber(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + quotedNumberOffset, numberDigits);
}

/** As `readLane`, where `start` is that of the string's opening quote. */
export function readQuotedLane(bytes: Uint8Array, start: number): number {
  return readDigits(bytes, start + quotedLaneOffset, laneDigits);
}

function readDigits(bytes: Uint8Array, start: number, count: number): number {
  let value = 0;
  for (let index = start; index < start + count; index += 1) {
    const digit = (bytes[index] ?? 0) - zero;
    if (digit < 0 || digit > 9) {
      return -1;
    }
    value = value * 10 + digit;
  }
  return value;
}
