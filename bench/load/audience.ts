/** Owns a room's worth of sockets: opening them some at a time, and closing them. */
import { type MessageSink, RawWebSocket } from "./raw-web-socket.ts";

export interface AudienceOptions {
  readonly port: number;
  readonly room: string;
  readonly count: number;
  /** How many handshakes may be under way at a time. */
  readonly concurrency: number;
  readonly sink: MessageSink;
  /** The sink's number of the first socket, and with it the connection ids. */
  readonly firstIndex?: number;
  /** Sockets of protocol 1, not plain ones. The sink must be one that acknowledges. */
  readonly protocol?: boolean;
  /** The sockets' topic filters. */
  readonly topics?: string;
}

export interface Audience {
  readonly count: number;
  /** From now on no socket reads, until `resume`. */
  readonly pause: () => void;
  readonly resume: () => void;
  readonly close: () => Promise<void>;
}

/** Where both sides serve a room. */
export function roomPath(room: string): string {
  return `/parties/router/${room}`;
}

/** Opens all sockets, or throws with the first refusal after closing those that opened. */
export async function openAudience(options: AudienceOptions): Promise<Audience> {
  const { count, firstIndex = 0 } = options;
  const sockets: RawWebSocket[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(sockets.map((socket) => socket.close()));
  };
  const query =
    (options.protocol === true ? "&protocol=1" : "") +
    (options.topics === undefined ? "" : `&topics=${encodeURIComponent(options.topics)}`);
  let next = 0;
  const openSome = async (): Promise<void> => {
    while (next < count) {
      const index = firstIndex + next;
      next += 1;
      const socket = new RawWebSocket({
        port: options.port,
        path: `${roomPath(options.room)}?_pk=bench-${index}${query}`,
        index,
        sink: options.sink,
      });
      await socket.opened();
      sockets.push(socket);
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, openSome));
  } catch (error) {
    next = count;
    await close();
    throw error;
  }
  return {
    count,
    pause: () => sockets.forEach((socket) => socket.pause()),
    resume: () => sockets.forEach((socket) => socket.resume()),
    close,
  };
}
