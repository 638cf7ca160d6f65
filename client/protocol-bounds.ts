/**
 * Bounds and grammar of protocol 1 as far as this client needs them, without the schemas of
 * `src/protocol/client.ts`, whose library alone would be larger than this client may be. Tests hold
 * the two equal.
 */
export const ackEvery = { messages: 128, units: 16 * 1024 };

/** A topic of a message: 1 to 128 printable ASCII characters but `,` and `*`. */
export function isTopic(text: string): boolean {
  return /^[!-)+\--~]{1,128}$/.test(text);
}

/** What a client subscribes to: topics, everything below a prefix (`scores:*`), or all (`*`). */
export function areTopicFilters(topics: readonly string[]): boolean {
  return (
    topics.length <= 100 &&
    topics.every((topic) => isTopic(topic) || /^([!-)+\--~]{1,126}:)?\*$/.test(topic))
  );
}

/** Base64 as `btoa` writes it: a whole number of fours, padded. */
export function isBase64(text: string): boolean {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text);
}
