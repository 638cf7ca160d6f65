/**
 * The texts of a WebSocket as an async iterable, and whether there is still somebody at its other end.
 * Knows nothing of what they say, but for `pong`.
 */
import { SilenceWatch } from "./silence-watch.ts";

/** As much of a `WebSocket` as is needed; the one of the `ws` package fits. */
export type TextSocket = {
  send(text: string): void;
  close(code?: number): void;
  addEventListener(type: "message", listener: (event: { data: unknown }) => void): void;
  addEventListener(type: "close" | "error", listener: () => void): void;
};

/** Opens a WebSocket with these headers, which browsers and Workers cannot. */
export type OpenWebSocket = (url: string, headers: Readonly<Record<string, string>>) => TextSocket;

/**
 * Texts in order, without answers to `ping`; ends when the socket has closed, which the signal makes it
 * do, or when nothing has come for `maxSilenceMs`. It is asked often enough that something would have.
 */
export async function* socketTexts(
  socket: TextSocket,
  signal: AbortSignal,
): AsyncGenerator<string, void, void> {
  const texts: string[] = [];
  let isOver = false;
  let wake: (() => void) | null = null;
  const end = (): void => {
    isOver = true;
    watch.stop();
    wake?.();
  };
  const watch = new SilenceWatch(() => socket.send("ping"), end);
  socket.addEventListener("message", ({ data }) => {
    if (isOver) return;
    watch.heard();
    if (typeof data !== "string" || data === "pong") return;
    texts.push(data);
    wake?.();
  });
  socket.addEventListener("close", end);
  socket.addEventListener("error", end);
  signal.addEventListener("abort", end, { once: true });
  try {
    for (;;) {
      const text = texts.shift();
      if (signal.aborted) return;
      if (text !== undefined) {
        yield text;
      } else if (isOver) {
        return;
      } else {
        const { promise, resolve } = Promise.withResolvers<null>();
        wake = () => resolve(null);
        await promise;
      }
    }
  } finally {
    signal.removeEventListener("abort", end);
    end();
    socket.close(1000);
  }
}
