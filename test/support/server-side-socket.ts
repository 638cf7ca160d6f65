/** A client of a game server without a network: its end of a socket, and what came over it. */
import { EventEmitter } from "node:events";
import type { ServerSocket } from "../../src/host/node/server-socket.ts";
import { Recording } from "./recording.ts";

export type Closing = { readonly code: number; readonly reason: string };

export class ServerSideSocket extends EventEmitter implements ServerSocket {
  readonly frames = new Recording<string | Uint8Array>(String);
  readonly closings = new Recording<Closing>(({ code }) => String(code));

  // The server's side.
  send(data: string | Uint8Array): void {
    if (this.closings.items.length === 0) this.frames.add(data);
  }

  close(code: number, reason: string): void {
    if (this.closings.items.length > 0) return;
    this.closings.add({ code, reason });
    setImmediate(() => this.emit("close"));
  }

  // The client's side.
  say(text: string): void {
    this.emit("message", Buffer.from(text), false);
  }

  sayBytes(bytes: Uint8Array): void {
    this.emit("message", Buffer.from(bytes), true);
  }

  /** The connection drops. */
  drop(): void {
    this.close(1006, "");
  }

  async received(count: number): Promise<readonly (string | Uint8Array)[]> {
    await this.frames.until(() => this.frames.items.length >= count, `${count} frames`);
    return this.frames.items;
  }

  async closed(): Promise<Closing> {
    await this.closings.until(() => this.closings.items.length > 0, "a close");
    const [first] = this.closings.items;
    if (first === undefined) throw new Error("not closed");
    return first;
  }
}
