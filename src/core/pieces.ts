/** The text in pieces of so many UTF-16 units; at least one piece, also of an empty text. */
export function piecesOf(text: string, units: number): string[] {
  const pieces: string[] = [];
  for (let start = 0; start === 0 || start < text.length; start += units) {
    pieces.push(text.slice(start, start + units));
  }
  return pieces;
}
