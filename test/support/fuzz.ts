/** Texts near to good ones, many and fast: fast-check makes the good ones, this wounds them. */
import { FakeEntropy } from "./fake-entropy.ts";

/** Another one from the environment finds other texts. */
export const fuzzSeed = Number(process.env["FUZZ_SEED"] ?? 1);

const pieces = ['"', "{", "}", "[", "]", ",", ":", "\\", "0", "-1", "1e9", "null", "é", "\ud800"];

/** Each text `times` over: something cut out, put in, doubled, or made another piece. */
export function* wounded(
  texts: readonly string[],
  times: number,
  seed: number,
): Generator<string, void> {
  const entropy = new FakeEntropy(seed);
  const upTo = (bound: number): number => Math.floor(entropy.random() * bound);
  for (const text of texts) {
    for (let n = 0; n < times; n += 1) {
      const start = upTo(text.length + 1);
      const end = Math.min(text.length, start + upTo(4));
      const piece =
        entropy.random() < 0.3 ? text.slice(start, end).repeat(2) : pieces[upTo(pieces.length)];
      yield text.slice(0, start) + (entropy.random() < 0.3 ? "" : piece) + text.slice(end);
    }
  }
}

/** Whether it is a `Result`: a value, or a code with a sentence. */
export function isResult(value: object): boolean {
  if (!("ok" in value)) return false;
  if (value.ok === true) return "value" in value;
  return "code" in value && value.code === "malformed-frame" && "detail" in value;
}
