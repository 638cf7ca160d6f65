/** `text/event-stream` (HTML Living Standard, 9.2.6), as far as the registry writes it. */
import { maxSilenceMs } from "../src/protocol/event-bounds.ts";

/**
 * The data of each event as it comes; ends with the stream, however that ends, by the signal, or when
 * who reads has waited for anything at all, comments too, for `maxSilenceMs`.
 */
export async function* eventTexts(
  response: Response,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const { body } = response;
  if (body === null) return;
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const stop = (): void => void reader.cancel().catch(() => {});
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  let rest = "";
  let data: string[] = [];
  try {
    for (;;) {
      const silence = setTimeout(stop, maxSilenceMs);
      const { done, value } = await reader.read().finally(() => clearTimeout(silence));
      if (done) return;
      const lines = (rest + value).split(/\r\n|\n|\r/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(5).trimStart());
        if (line !== "" || data.length === 0) continue;
        yield data.join("\n");
        data = [];
      }
    }
  } catch {
    // The connection broke; whoever reads comes back.
  } finally {
    signal.removeEventListener("abort", stop);
    stop();
  }
}
