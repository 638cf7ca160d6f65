/** A player's socket as roles and handlers see it. Knows nothing of rooms. */
import type { Socket } from "../../core/ports.ts";
import { encodeServerFrame } from "../../protocol/client.ts";
import { encodePayload, toMessageData, type MessageData } from "../../protocol/payload.ts";
import type { ServerSocket } from "./server-socket.ts";

/** What the room sends beside its messages. */
export function localFrame(data: MessageData): string {
  return encodeServerFrame({ type: "local", data: encodePayload(data) });
}

/** The role's end of a socket: sending on one that has closed does nothing. */
export function endOf(socket: ServerSocket): Socket {
  return { send: (data) => socket.send(data), close: (code, reason) => socket.close(code, reason) };
}

/** What `ws` gives: buffers also for text, and parts where it was told to. */
export function messageOf(raw: unknown, isBinary: boolean): MessageData {
  if (typeof raw === "string") return raw;
  const bytes = Array.isArray(raw)
    ? Buffer.concat(raw as Uint8Array[])
    : toMessageData(raw as ArrayBuffer | ArrayBufferView);
  return isBinary ? bytes : new TextDecoder().decode(bytes as Uint8Array);
}
