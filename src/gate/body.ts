/** Bodies: read within their limit, and taken apart into messages or read as JSON. */
import { encodePayload, type Payload } from "../protocol/payload.ts";
import { success, type Success } from "../protocol/result.ts";
import { refusal, type Refusal } from "./http.ts";

/** Messages in one NDJSON body. */
const maxMessages = 10_000;

export async function readMessages(
  request: Request,
  maxBytes: number,
): Promise<Success<Payload[]> | Refusal> {
  const body = await readBytes(request, maxBytes);
  if (!body.ok) return body;
  const mediaType = (request.headers.get("content-type") ?? "").split(";")[0]?.trim().toLowerCase();
  if (mediaType === "application/octet-stream") return success([encodePayload(body.value)]);
  const text = decodeText(body.value);
  if (text === null) return refusal("malformed-body", "the body must be UTF-8 text");
  return mediaType === "application/x-ndjson" ? splitLines(text) : success([text]);
}

/** A body of JSON; `null` when there is none. */
export async function readJson(
  request: Request,
  maxBytes: number,
): Promise<Success<unknown> | Refusal> {
  const body = await readBytes(request, maxBytes);
  if (!body.ok) return body;
  if (body.value.length === 0) return success(null);
  const text = decodeText(body.value);
  if (text === null) return refusal("malformed-body", "the body must be UTF-8 text");
  try {
    return success(JSON.parse(text) as unknown);
  } catch {
    return refusal("malformed-body", "the body must be JSON");
  }
}

/** Counts while it reads, so that a body without a length cannot fill the memory. */
async function readBytes(
  request: Request,
  maxBytes: number,
): Promise<Success<Uint8Array> | Refusal> {
  const tooLarge = refusal("payload-too-large", `the body must not exceed ${maxBytes} bytes`);
  const declared = request.headers.get("content-length");
  if (declared !== null && Number(declared) > maxBytes) return tooLarge;
  try {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    const reader = request.body?.getReader();
    for (;;) {
      const read = await reader?.read();
      if (read === undefined || read.done) return success(concatenate(chunks, bytes));
      bytes += read.value.length;
      if (bytes > maxBytes) {
        await reader?.cancel();
        return tooLarge;
      }
      chunks.push(read.value);
    }
  } catch {
    return refusal("malformed-body", "the body ended early");
  }
}

function concatenate(chunks: readonly Uint8Array[], bytes: number): Uint8Array {
  const whole = new Uint8Array(bytes);
  let offset = 0;
  for (const chunk of chunks) {
    whole.set(chunk, offset);
    offset += chunk.length;
  }
  return whole;
}

function decodeText(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** One message a line; empty lines are none. */
function splitLines(text: string): Success<Payload[]> | Refusal {
  const lines = text.split("\n").map((line) => (line.endsWith("\r") ? line.slice(0, -1) : line));
  const messages = lines.filter((line) => line !== "");
  if (messages.length === 0) {
    return refusal("malformed-body", "an NDJSON body must hold at least one line");
  }
  if (messages.length > maxMessages) {
    return refusal("payload-too-large", `one body must not hold more than ${maxMessages} messages`);
  }
  return success(messages);
}
