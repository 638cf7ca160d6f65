/** What was wrong with what a client heard. Knows the order that the room gave, and nothing of sockets. */

/** A sentence for everything lost, repeated or out of order; none when all is well. */
export function faults(heard: readonly string[], order: readonly string[]): string[] {
  const places = new Map(order.map((text, index) => [text, index]));
  const counts = new Map<string, number>();
  for (const text of heard) counts.set(text, (counts.get(text) ?? 0) + 1);
  const lost = order.filter((text) => !counts.has(text)).length;
  const repeated = heard.length - counts.size;
  const strange = heard.filter((text) => !places.has(text)).length;
  let disordered = 0;
  let last = -1;
  for (const text of heard) {
    const place = places.get(text) ?? last;
    if (place < last) disordered += 1;
    last = place;
  }
  const found = { lost, repeated, "out of order": disordered, "never published": strange };
  return Object.entries(found)
    .filter(([, count]) => count > 0)
    .map(([what, count]) => `${count} ${what}`);
}
