/** Events of the registry over `text/event-stream`, alike on both hosts. */
import type { EventHub } from "../registry/event-hub.ts";

/** A stream of the platform. One made in JavaScript is not told that its reader left (workerd, 2026-09). */
type Pipe = {
  readonly readable: ReadableStream<Uint8Array>;
  readonly writable: WritableStream<Uint8Array>;
};

/** Pattern of a subscriber's request; the gate has checked it. */
export function patternOf(url: string): string {
  return new URL(url).searchParams.get("pattern") ?? "*";
}

export function answerWithStream(hub: EventHub, url: string, pipe: Pipe): Response {
  const stream = hub.stream(patternOf(url));
  if (!stream.ok) return new Response(stream.detail, { status: 400 });
  stream.value.pipeTo(pipe.writable).catch(() => {
    // The reader has left, and the pipe has told the hub.
  });
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
  return new Response(pipe.readable as ReadableStream<Uint8Array<ArrayBuffer>>, { headers });
}
