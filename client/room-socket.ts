/**
 * `RoomSocket`: a `PartySocket` that misses nothing. The loop around the connection's state machine:
 * it owns sockets, timers, requests and events, and decides nothing.
 */
import type { PartySocket, PartySocketOptions } from "partysocket";
import { CloseEvent, ErrorEvent } from "partysocket/ws";
import type { Position } from "../src/protocol/link.ts";
import type { Payload } from "../src/protocol/payload.ts";
import { isPublishId } from "../src/protocol/publish-id.ts";
import { step } from "./connection.ts";
import {
  initialState,
  wakeAt,
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
  type Phase,
} from "./connection-state.ts";
import { postOnce } from "./http-publish.ts";
import { outboxBytes, type Outcome, type Published } from "./outbox.ts";
import { fromPayload, toPayload, type OutgoingData } from "./payload-data.ts";
import { areTopicFilters, isTopic } from "./protocol-bounds.ts";
import { PublishError } from "./publish-error.ts";
import { RoomEventTarget } from "./room-events.ts";
import { settingsFrom, type Settings } from "./settings.ts";
import { hasSocket } from "./transitions.ts";
import { addQuery, addressOf, openSocket, type Query, type Socket } from "./transport.ts";

export { PublishError } from "./publish-error.ts";
export type { Phase, Recovered, Reset } from "./connection-state.ts";
export type { RoomSocketEvents } from "./room-events.ts";
export type { OutgoingData, Position, Published };

export type RoomSocketOptions = PartySocketOptions &
  Partial<Omit<Settings, keyof PartySocketOptions>> & {
    /** What to receive: topics, `prefix:*`, or `*`. See `subscribe`. */
    readonly topics?: readonly string[];
    /** Where to go on, as an earlier `position` said; without it the socket starts at the present. */
    readonly position?: Position;
    /** For publishing over HTTP, in place of the global one. */
    readonly fetch?: typeof fetch;
  };

/** `setTimeout` takes no longer ones; what is 24 days away is as good as never. */
const maxTimerMs = 2 ** 31 - 1;

/**
 * A socket to a room. Takes `PartySocket`'s options (`party` is `router` by default) and has its
 * events and methods; code written for it works. Unlike it, the socket
 *
 * - resumes: after any break it goes on exactly where it was, or says so by `reset`;
 * - gives every numbered message once and in order;
 * - notices connections that are dead without being closed;
 * - publishes (`publish`), each message once however often it had to be sent.
 *
 * `open` comes with the shard's welcome. Bytes come as `ArrayBuffer` unless `binaryType` is `blob`.
 */
export class RoomSocket extends RoomEventTarget {
  static readonly CONNECTING = 0;
  static readonly OPEN = 1;
  static readonly CLOSING = 2;
  static readonly CLOSED = 3;
  readonly CONNECTING = 0;
  readonly OPEN = 1;
  readonly CLOSING = 2;
  readonly CLOSED = 3;

  binaryType: BinaryType = "arraybuffer";

  readonly #options: RoomSocketOptions;
  readonly #address: PartySocket;
  readonly #publishes = new Map<string, (outcome: Outcome) => void>();
  #state: ConnectionState;
  #socket: Socket | undefined;
  /** Effects that are still to be carried out, in order. */
  readonly #effects: Effect[] = [];
  #isBusy = false;
  /** Publishes so far, for their ids. */
  #count = 0;
  /** Known to this client alone: who knows the next key could use it first. */
  readonly #series = crypto.getRandomValues(new Uint8Array(16)).join("");
  #delivered: Position | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #clock = 0;
  #wallClock = 0;

  constructor(options: RoomSocketOptions) {
    super();
    this.#options = options;
    this.#address = addressOf(options);
    if (!options.room && !options.basePath) throw new TypeError("no room");
    const topics = checkTopics(options.topics ?? []);
    this.#state = initialState(settingsFrom(options), topics, options.position ?? null);
    if (!options.startClosed) this.reconnect();
  }

  /** The id of this client's connections. */
  get id(): string {
    return this.#options.id || this.#address.id;
  }

  get host(): string {
    return this.#address.host;
  }

  get room(): string | undefined {
    return this.#address.room;
  }

  /** The party. */
  get name(): string {
    return this.#address.name;
  }

  /** The room's address without a query. */
  get roomUrl(): string {
    return this.#address.roomUrl;
  }

  /** The address of the present connection, or "". */
  get url(): string {
    return this.#socket?.url ?? "";
  }

  get readyState(): 0 | 1 | 3 {
    if (this.status === "open") return 1;
    return hasSocket(this.status) ? 0 : 3;
  }

  /**
   * `idle` before the first connection, `connecting`, `greeting` until the shard's welcome, `open`,
   * `waiting` in the pause before another attempt, `stopped` when there will be none.
   */
  get status(): Phase {
    return this.#state.link.phase;
  }

  /** Failed connections in a row. */
  get retryCount(): number {
    return this.#state.failures;
  }

  /** Bytes that are not sent, or published and not answered. */
  get bufferedAmount(): number {
    return outboxBytes(this.#state) + (this.#socket?.bufferedAmount ?? 0);
  }

  /**
   * The place in the room's order up to which the application has everything; within a `message`
   * event it includes that message. `null` before the first welcome. Given back as an option it
   * resumes, also in another page or process.
   */
  get position(): Position | null {
    return this.#delivered ?? this.#state.position;
  }

  /** The present connection's id as the shard says it, while open. */
  get connection(): string | null {
    return this.#state.link.connection ?? null;
  }

  /** The shard of the present connection, while open. */
  get shard(): string | null {
    return this.#state.link.shard ?? null;
  }

  /** Connects, anew if there is a connection, and goes on from `position`. */
  reconnect(code = 1000, reason = ""): void {
    this.#dispatch({ type: "start", code, reason });
  }

  /** Closes for good, unless `reconnect` is called. Publishes without an answer fail with `closed`. */
  close(code = 1000, reason = ""): void {
    this.#dispatch({ type: "stop", code, reason });
  }

  /**
   * Sends to `onMessage` of the room class on this client's shard: at most once. Whether it left at
   * once is returned; if not, it waits for the connection, or is dropped because the buffer is full
   * or the socket stopped.
   */
  send(data: OutgoingData): boolean {
    this.#dispatch({ type: "send", data: toPayload(data) });
    return this.status === "open";
  }

  /**
   * Writes a message to the room: every client of every shard gets it, in one order, once. Resolves
   * with its place in that order when it is durable; rejects with a `PublishError`. While there is
   * no connection it waits in the buffer. `id` is the idempotency key, by default one of this socket's
   * own: give yours, which must not begin with `~`, to repeat a publish across pages or processes.
   */
  async publish(
    data: OutgoingData,
    { topic, id: given }: { readonly topic?: string; readonly id?: string } = {},
  ): Promise<Published> {
    if (topic !== undefined && !isTopic(topic)) throw new TypeError("not a topic");
    const number = (this.#count += 1);
    const id = given ?? `~${this.#series}:${number}`;
    if (!isPublishId(id) || given?.startsWith("~") || this.#publishes.has(id)) {
      throw new TypeError("not a new id");
    }
    const payload = toPayload(data);
    return new Promise((resolve, reject) => {
      this.#publishes.set(id, (outcome) => {
        if (outcome.ok) resolve(outcome.value);
        else reject(new PublishError(outcome.code, outcome.problem));
      });
      this.#dispatch({ type: "publish", id, number, data: payload, topic });
    });
  }

  /** From now on these topics, instead of those before. Messages without a topic come in any case. */
  subscribe(topics: readonly string[]): void {
    this.#dispatch({ type: "subscribe", topics: checkTopics(topics) });
  }

  /** The state changes at once; effects are carried out in order, also when one causes an event. */
  #dispatch(event: ConnectionEvent): void {
    const before = this.status;
    const context = { now: this.#now(), random: Math.random() };
    const { state, effects } = step(this.#state, event, context);
    this.#state = state;
    this.#effects.push(...effects);
    if (this.#isBusy) return;
    this.#isBusy = true;
    for (let effect; (effect = this.#effects.shift());) void this.#perform(effect);
    this.#isBusy = false;
    this.#setTimer();
    if (this.status !== before) void this.#tell(new Event("statuschange"));
  }

  async #perform(effect: Effect): Promise<void> {
    switch (effect.type) {
      case "connect":
        return this.#connect(effect.address, effect.query);
      case "disconnect": {
        const socket = this.#socket;
        this.#socket = undefined;
        return socket?.close(effect.code, effect.reason);
      }
      case "transmit":
        this.#socket?.send(effect.text);
        return;
      case "post":
        void this.#post(effect.id, effect.data, effect.topic);
        return;
      case "closed":
        void this.#tell(new CloseEvent(effect.code, effect.reason, {}));
        return;
      case "deliver":
        this.#delivered = effect.position;
        this.#deliver(effect.data, "message");
        if (effect.isLocal) this.#deliver(effect.data, "local");
        this.#delivered = null;
        return;
      case "tell":
        void this.#tell(new CustomEvent(effect.what, { detail: effect.detail }));
        return;
      case "settle":
        this.#publishes.get(effect.id)?.(effect.outcome);
        this.#publishes.delete(effect.id);
        return;
    }
  }

  #connect(moved: string | null, query: Query): void {
    const options = { ...this.#options, ...this.#state.settings };
    const socket = openSocket(moved ?? this.roomUrl, options, { _pk: this.id, ...query });
    this.#socket = socket;
    // One that was given up says nothing any more.
    const tell = (event: ConnectionEvent): void => {
      if (this.#socket === socket) this.#dispatch(event);
    };
    socket.addEventListener("open", () => tell({ type: "opened" }));
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) =>
      tell({ type: "received", data }),
    );
    const end = (code: number, reason: string): void => {
      // By now it has asked the application's `shouldReconnectOnClose`.
      tell({ type: socket.shouldReconnect ? "closed" : "stop", code, reason });
    };
    socket.addEventListener("close", ({ code, reason }) => {
      // In browsers partysocket garbles the events that it makes itself: it puts the type in place of
      // the code. It makes a close event of every error, before the error event.
      if (code > 0) end(code, reason);
    });
    socket.addEventListener("error", ({ error }) => {
      const cause = error?.message ? error : new Error("connection failed");
      if (this.#socket === socket) void this.#tell(new ErrorEvent(cause, {}));
      // No close event comes when the address or the query could not be made.
      end(1006, "");
    });
  }

  async #post(id: string, payload: Payload, topic: string | undefined): Promise<void> {
    const data = fromPayload(payload);
    // A message has one topic: `topics` in the application's query are the socket's.
    const url = addQuery(this.roomUrl.replace("ws", "http"), this.#options, {
      topic,
      topics: null,
    });
    const answer = await postOnce(this.#options.fetch ?? fetch, { url, id, data });
    this.#dispatch({ type: "answered", id, answer });
  }

  #deliver(payload: Payload, type: "message" | "local"): void {
    const content = fromPayload(payload);
    const isBlob = this.binaryType === "blob";
    const data =
      typeof content === "string" ? content : isBlob ? new Blob([content]) : content.buffer;
    void this.#tell(new MessageEvent(type, { data }));
  }

  /** Async, so that what a listener throws stops nothing: workerd's `dispatchEvent` throws it on (2026-11). */
  async #tell(event: Event): Promise<void> {
    this.dispatchEvent(event);
  }

  #setTimer(): void {
    clearTimeout(this.#timer);
    const delay = Math.max(0, wakeAt(this.#state) - this.#now());
    if (delay > maxTimerMs) return;
    this.#timer = setTimeout(() => this.#dispatch({ type: "tick" }), delay);
  }

  /** The clock on the wall, which goes on while a machine sleeps, but never back. */
  #now(): number {
    const wallClock = Date.now();
    this.#clock += Math.max(0, wallClock - this.#wallClock);
    this.#wallClock = wallClock;
    return this.#clock;
  }
}

function checkTopics(topics: readonly string[]): string[] {
  if (!areTopicFilters(topics)) {
    throw new TypeError("not a topic");
  }
  return [...topics];
}
