/**
 * The way to a server through a TCP proxy that can be broken and mended. It passes bytes on and
 * knows nothing of what they mean.
 */
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";

/**
 * `cut`: connections are reset, new ones too. `silent`: nothing passes, nothing is closed; what was
 * sent arrives once the network is mended. `mute`: what a client sends passes, and every answer
 * resets its connection.
 */
type Condition = "whole" | "cut" | "silent" | "mute";

export class BreakableNetwork {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #condition: Condition = "whole";

  private constructor(server: Server, port: number, target: number) {
    this.#server = server;
    this.port = port;
    server.on("connection", (near) => this.#carry(near, target));
  }

  /** To the server at `target`. */
  static async lay(target: number): Promise<BreakableNetwork> {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (address === null || typeof address === "string") throw new Error("no port");
    return new BreakableNetwork(server, address.port, target);
  }

  cut(): void {
    this.#condition = "cut";
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  silence(): void {
    this.#condition = "silent";
    for (const socket of this.#sockets) socket.pause();
  }

  mute(): void {
    this.#condition = "mute";
  }

  mend(): void {
    this.#condition = "whole";
    for (const socket of this.#sockets) socket.resume();
  }

  close(): void {
    this.cut();
    this.#server.close();
  }

  #carry(near: Socket, target: number): void {
    if (this.#condition === "cut") {
      near.on("error", () => {});
      near.resetAndDestroy();
      return;
    }
    const far = connect(target, "127.0.0.1");
    this.#join(near, far);
    this.#join(far, near);
    near.on("data", (bytes) => far.write(bytes));
    far.on("data", (bytes) => {
      if (this.#condition === "mute") near.resetAndDestroy();
      else near.write(bytes);
    });
    if (this.#condition === "silent") for (const socket of [near, far]) socket.pause();
  }

  /** One end goes as the other went. */
  #join(socket: Socket, other: Socket): void {
    this.#sockets.add(socket);
    // A reset is what this is for.
    socket.on("error", () => {});
    socket.on("end", () => other.end());
    socket.on("close", () => {
      this.#sockets.delete(socket);
      other.destroy();
    });
  }
}
