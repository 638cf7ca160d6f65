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

/** A listener as a method, so that one for a `MessageEvent` is a listener for an `Event`. */
type Listener<Type extends Event> = { handle(event: Type): void }["handle"];

interface TypedEventTarget {
  addEventListener<Type extends keyof RoomSocketEvents>(
    type: Type,
    listener: Listener<RoomSocketEvents[Type]> | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  removeEventListener<Type extends keyof RoomSocketEvents>(
    type: Type,
    listener: Listener<RoomSocketEvents[Type]> | null,
    options?: boolean | EventListenerOptions,
  ): void;
  removeEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | EventListenerOptions,
  ): void;
  dispatchEvent(event: Event): boolean;
}

const TypedEventTarget: new () => TypedEventTarget = EventTarget;

/** An event target that knows its events' types, and has the handlers of a `WebSocket`. */
export class RoomEventTarget extends TypedEventTarget {
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
}
