/** The demo's publisher: many POSTs, so many of them in flight, and the order that the room gave. */
/** Publishes `texts`, and gives them back in the room's order. Throws when one is refused. */
export async function publishAll(
  url: string,
  texts: readonly string[],
  inFlight: number,
  onPublished: (published: number) => void,
): Promise<string[]> {
  const done: { readonly text: string; readonly seq: number }[] = [];
  const waiting = texts.values();
  const lane = async (): Promise<void> => {
    // All lanes draw from one iterator.
    for (const text of waiting) {
      done.push({ text, seq: await publish(url, text) });
      onPublished(done.length);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return done.toSorted((one, other) => one.seq - other.seq).map(({ text }) => text);
}

/** With a key, so that the gate may try again when an object is reset under the call. */
export async function publish(url: string, text: string): Promise<number> {
  const headers = { "idempotency-key": text };
  const response = await fetch(url, { method: "POST", headers, body: text });
  const answer: unknown = await response.json();
  if (response.ok && typeof answer === "object" && answer !== null && "seq" in answer) {
    return Number(answer.seq);
  }
  throw new Error(`"${text}" was answered ${response.status} ${JSON.stringify(answer)}`);
}
