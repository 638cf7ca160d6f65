/** What a `RoomSocket` tells the application, as standard events. */
import type { CloseEvent, ErrorEvent } from "partysocket/ws";
import type { Recovered, Reset } from "./connection-state.ts";

export type RoomSocketEvents = {
  /** The shard has welcomed the client; every connection has one. */
  open: Event;
  /** A message. `data` is text, or bytes as `binaryType` says. */
  message: MessageEvent;
  /** A connection, or an attempt at one, ended. Another follows unless `code` is 4500–4999. */
  close: CloseEvent;
  error: ErrorEvent;
  /** After `open`: the client goes on exactly where it was. */
  recovered: CustomEvent<Recovered>;
  /** Messages were missed and cannot be had: the client goes on from `position`. */
  reset: CustomEvent<Reset>;
  /** What the room class sent to this shard's clients alone; it comes as a `message` as well. */
  local: MessageEvent;
  /** `status` has changed. */
  statuschange: Event;
};

/** An event target that knows its events' types, and has the handlers of a `WebSocket`. */
export class RoomEventTarget extends EventTarget {
  onopen: ((event: Event) => void) | null = null;
  onmessage: ((event: MessageEvent) => void) | null = null;
  onclose: ((event: CloseEvent) => void) | null = null;
  onerror: ((event: ErrorEvent) => void) | null = null;

  constructor() {
    super();
    this.addEventListener("open", (event) => this.onopen?.(event));
    this.addEventListener("message", (event) => this.onmessage?.(event));
    this.addEventListener("close", (event) => this.onclose?.(event));
    this.addEventListener("error", (event) => this.onerror?.(event));
  }

  override addEventListener<Type extends keyof RoomSocketEvents>(
    type: Type,
    listener: (event: RoomSocketEvents[Type]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  override addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener, options);
  }

  override removeEventListener<Type extends keyof RoomSocketEvents>(
    type: Type,
    listener: (event: RoomSocketEvents[Type]) => void,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  override removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener, options);
  }
}
