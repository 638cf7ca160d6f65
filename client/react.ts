/** `useRoom`: a `RoomSocket` that lives as long as a component. */
import {
  useCallback,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
  type RefObject,
} from "react";
import type { Position } from "../src/protocol/link.ts";
import type { Phase } from "./connection-state.ts";
import type { RoomSocketEvents } from "./room-events.ts";
import { RoomSocket, type RoomSocketOptions } from "./room-socket.ts";
import { settingsFrom } from "./settings.ts";

export type RoomHandlers = {
  readonly onOpen?: (event: RoomSocketEvents["open"]) => void;
  readonly onMessage?: (event: RoomSocketEvents["message"]) => void;
  readonly onClose?: (event: RoomSocketEvents["close"]) => void;
  readonly onError?: (event: RoomSocketEvents["error"]) => void;
  readonly onRecovered?: (event: RoomSocketEvents["recovered"]) => void;
  readonly onReset?: (event: RoomSocketEvents["reset"]) => void;
  readonly onLocal?: (event: RoomSocketEvents["local"]) => void;
};

export type UseRoomOptions = Omit<RoomSocketOptions, "host" | "startClosed"> &
  RoomHandlers & {
    /** By default the page's. */
    readonly host?: string;
    /** `false` keeps the socket closed. */
    readonly enabled?: boolean;
  };

export type Room = {
  /** The same one until the room, or another option that makes a different socket, changes. */
  readonly socket: RoomSocket;
  /** Renders the component when it changes. */
  readonly status: Phase;
  /** The socket's position, as it is when read. Messages alone render nothing. */
  readonly position: Position | null;
};

/**
 * Connects to a room while the component is mounted and `enabled`. Handlers are always those of the
 * last render. Another room is another socket; another `query` is another connection of the same
 * socket, which resumes; other `topics` are told to the shard. A `query` that is a function is asked
 * at every connection. `WebSocket`, `fetch`, `position` and `shouldReconnectOnClose` are read once.
 */
export function useRoom(options: UseRoomOptions): Room {
  const latest = useRef(options);
  const key = keyOf(options);
  const [held, setHeld] = useState(() => ({ key, socket: createSocket(options, latest) }));
  let { socket } = held;
  if (held.key !== key) {
    socket = createSocket(options, latest);
    setHeld({ key, socket });
  }
  useEffect(() => {
    latest.current = options;
  });
  useTopics(socket, options);
  useConnection(socket, options, latest);
  useQuery(socket, options);
  const subscribe = useCallback(
    (listener: () => void) => {
      socket.addEventListener("statuschange", listener);
      return () => socket.removeEventListener("statuschange", listener);
    },
    [socket],
  );
  const readStatus = (): Phase => socket.status;
  const status = useSyncExternalStore(subscribe, readStatus, () => "idle" as const);
  return {
    socket,
    status,
    get position() {
      return socket.position;
    },
  };
}

function useTopics(socket: RoomSocket, { topics = [] }: UseRoomOptions): void {
  const key = topics.join(",");
  useEffect(() => {
    socket.subscribe(key === "" ? [] : key.split(","));
  }, [socket, key]);
}

function useConnection(
  socket: RoomSocket,
  { enabled = true }: UseRoomOptions,
  latest: RefObject<RoomHandlers>,
): void {
  useEffect(() => {
    if (!enabled) return;
    const stopListening = listen(socket, latest);
    socket.reconnect();
    return () => {
      socket.close();
      stopListening();
    };
  }, [socket, enabled, latest]);
}

function useQuery(socket: RoomSocket, options: UseRoomOptions): void {
  const { query, enabled = true } = options;
  const key = typeof query === "function" ? "" : JSON.stringify(query ?? {});
  const asked = useRef({ socket, key });
  useEffect(() => {
    const before = asked.current;
    asked.current = { socket, key };
    if (enabled && before.socket === socket && before.key !== key) socket.reconnect();
  }, [socket, key, enabled]);
}

/** Adds the handlers, whichever they are when an event comes; gives back what takes them off. */
function listen(socket: RoomSocket, latest: RefObject<RoomHandlers>): () => void {
  const controller = new AbortController();
  const { signal } = controller;
  socket.addEventListener("open", (event) => latest.current.onOpen?.(event), { signal });
  socket.addEventListener("message", (event) => latest.current.onMessage?.(event), { signal });
  socket.addEventListener("close", (event) => latest.current.onClose?.(event), { signal });
  socket.addEventListener("error", (event) => latest.current.onError?.(event), { signal });
  socket.addEventListener("recovered", (event) => latest.current.onRecovered?.(event), { signal });
  socket.addEventListener("reset", (event) => latest.current.onReset?.(event), { signal });
  socket.addEventListener("local", (event) => latest.current.onLocal?.(event), { signal });
  return () => controller.abort();
}

function createSocket(options: UseRoomOptions, latest: RefObject<UseRoomOptions>): RoomSocket {
  const host = options.host ?? (typeof location === "undefined" ? "localhost" : location.host);
  const query = async (): Promise<Record<string, string | null | undefined>> => {
    const { query: own } = latest.current;
    return (typeof own === "function" ? await own() : own) ?? {};
  };
  return new RoomSocket({ ...options, host, query, startClosed: true });
}

/** What makes another socket of it. */
function keyOf(options: UseRoomOptions): string {
  const { host, room, party, basePath, prefix, path, protocol, protocols, id } = options;
  const address = [host, room, party, basePath, prefix, path, protocol, protocols, id];
  return JSON.stringify([address, settingsFrom(options)]);
}
