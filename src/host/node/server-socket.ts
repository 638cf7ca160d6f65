/** The server's end of a WebSocket, as the `ws` package has it; anything alike will do. */
export interface ServerSocket {
  /** Must not throw on a socket that has closed. */
  send(data: string | Uint8Array): void;
  close(code: number, reason: string): void;
  on(event: "message", listener: (data: unknown, isBinary: boolean) => void): unknown;
  on(event: "close" | "error", listener: () => void): unknown;
}
