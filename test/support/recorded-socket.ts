/**
 * A client's socket that keeps every frame it got, and lets a test wait for frames and for its end.
 * Knows nothing of where the socket comes from: a host records into it.
 */
import { patienceMs } from "./deadline.ts";
import { Recording } from "./recording.ts";

export type Frame = string | Uint8Array;

export type RawSocket = {
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(): void;
};

export type Closing = { readonly code: number; readonly reason: string };

export class RecordedSocket {
  readonly #raw: RawSocket;
  readonly #recording = new Recording<Frame>(showFrame);
  readonly #closing = new Recording<Closing>(({ code }) => String(code));

  constructor(raw: RawSocket) {
    this.#raw = raw;
  }

  /** For the host: a frame has come. */
  record(frame: Frame): void {
    this.#recording.add(frame);
  }

  /** For the host: the socket has closed. */
  end(closing: Closing): void {
    this.#closing.add(closing);
    this.#recording.end();
  }

  get frames(): readonly Frame[] {
    return this.#recording.items;
  }

  send(data: string | Uint8Array<ArrayBuffer>): void {
    this.#raw.send(data);
  }

  close(): void {
    if (!this.#recording.hasEnded) this.#raw.close();
  }

  /** All frames, once there are at least so many. */
  async received(count: number): Promise<readonly Frame[]> {
    await this.#recording.until(() => this.frames.length >= count, `${count} frames`);
    return this.frames;
  }

  /** All frames up to the first that is this text, once it has come. */
  async receivedThrough(text: string): Promise<readonly Frame[]> {
    await this.#recording.until(() => this.frames.includes(text), showFrame(text));
    return this.frames.slice(0, this.frames.indexOf(text) + 1);
  }

  /** The answer to a question: sends it and waits for the next frame. */
  async ask(question: string): Promise<Frame> {
    const { length } = this.frames;
    this.send(question);
    await this.received(length + 1);
    return this.frames[length] ?? "";
  }

  async closed(ms = patienceMs): Promise<Closing> {
    await this.#closing.until(() => this.#closing.items.length > 0, "the socket's end", ms);
    return this.#closing.items[0] ?? { code: 1006, reason: "" };
  }
}

function showFrame(frame: Frame): string {
  if (typeof frame !== "string") return `${frame.length} bytes`;
  return JSON.stringify(frame.length > 60 ? `${frame.slice(0, 60)}…` : frame);
}
