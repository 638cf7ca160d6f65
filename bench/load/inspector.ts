/** Owns asking a server's inspector for the memory of its JavaScript heap. */

import { sleep } from "./room-load.ts";

const answerLimitMs = 30_000;
const busyMs = 100;

export class Inspector {
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #asked = 0;

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => {
      const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
      if (id !== undefined) {
        this.#waiting.get(id)?.(result);
        this.#waiting.delete(id);
      }
    });
  }

  /** Connects to the server's only Worker. */
  static async open(port: number): Promise<Inspector> {
    const limit = AbortSignal.timeout(answerLimitMs);
    const list = await fetch(`http://127.0.0.1:${port}/json/list`, { signal: limit });
    const [target] = (await list.json()) as { webSocketDebuggerUrl: string }[];
    if (target === undefined) {
      throw new Error("the inspector names no Worker");
    }
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    const opened = Promise.withResolvers<undefined>();
    const fail = (): void => opened.reject(new Error("the inspector cannot be reached"));
    socket.addEventListener("open", () => opened.resolve(undefined));
    socket.addEventListener("error", fail);
    limit.addEventListener("abort", fail);
    await opened.promise;
    return new Inspector(socket);
  }

  /**
   * Bytes that objects in use take, after a full collection. The Worker collects when it has something
   * to do, so it is given something.
   */
  async usedHeapBytes(busy: () => Promise<unknown>): Promise<number> {
    let isCollected = false;
    const collected = this.#ask("HeapProfiler.collectGarbage").finally(() => {
      isCollected = true;
    });
    const keepBusy = async (): Promise<void> => {
      for (;;) {
        await sleep(busyMs);
        if (isCollected) {
          return;
        }
        await busy();
      }
    };
    await Promise.all([collected, keepBusy()]);
    const { usedSize } = (await this.#ask("Runtime.getHeapUsage")) as { usedSize: number };
    return usedSize;
  }

  close(): void {
    this.#socket.close();
  }

  async #ask(method: string): Promise<unknown> {
    const id = (this.#asked += 1);
    const answer = Promise.withResolvers<unknown>();
    this.#waiting.set(id, answer.resolve);
    const limit = setTimeout(
      () => answer.reject(new Error(`the inspector gave no answer to ${method}`)),
      answerLimitMs,
    );
    this.#socket.send(JSON.stringify({ id, method }));
    try {
      return await answer.promise;
    } finally {
      clearTimeout(limit);
    }
  }
}
