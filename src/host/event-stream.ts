/** Events of the registry over `text/event-stream`, alike on both hosts. */
import type { EventHub } from "../registry/event-hub.ts";

/** Pattern of a subscriber's request; the gate has checked it. */
export function patternOf(url: string): string {
  return new URL(url).searchParams.get("pattern") ?? "*";
}

export function answerWithStream(hub: EventHub, url: string): Response {
  const stream = hub.stream(patternOf(url));
  if (!stream.ok) return new Response(stream.detail, { status: 400 });
  const headers = { "content-type": "text/event-stream", "cache-control": "no-store" };
  return new Response(stream.value, { headers });
}
