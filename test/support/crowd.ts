/**
 * A crowd of `RoomSocket`s in one room whose messages are whole numbers: what each has heard over all
 * of its connections, and when they are back. Knows neither who publishes nor why connections break.
 */
import { WebSocket } from "ws";
import { RoomSocket } from "../../client/room-socket.ts";
import { Recording } from "./recording.ts";

/** What a whole crowd does, while servers start, may take so long. */
const crowdMs = 60_000;

/** Without compression, which would cost the crowd's one thread more than all the rest. */
class LeanWebSocket extends WebSocket {
  constructor(url: string, protocols?: string | string[]) {
    super(url, protocols, { perMessageDeflate: false });
  }
}

/** `port` is one of the loopback. */
export type Place = { readonly port: number; readonly room: string };

/** A client whose pauses are shorter than the product's, so that a test is. */
export function openRoomSocket({ port, room }: Place, id: string): RoomSocket {
  return new RoomSocket({
    host: `127.0.0.1:${port}`,
    room,
    id,
    WebSocket: LeanWebSocket,
    minReconnectionDelay: 200,
    maxReconnectionDelay: 1_000,
    publish: "socket",
  });
}

type Happenings = {
  readonly onOpen: () => void;
  /** It has heard so many messages now. */
  readonly onHeard: (count: number) => void;
};

class Listener {
  readonly #id: string;
  readonly #socket: RoomSocket;
  readonly #heard = new Recording<string>(String);
  readonly #answers = new Recording<string>(String);
  /** The first message that came with another number than it has here. */
  #misplaced: string | null = null;
  readonly #onHeard: (count: number) => void;

  constructor(place: Place, id: string, { onOpen, onHeard }: Happenings) {
    const socket = openRoomSocket(place, id);
    this.#id = id;
    this.#socket = socket;
    this.#onHeard = onHeard;
    socket.addEventListener("open", onOpen);
    socket.addEventListener("message", ({ data }) => this.#hear(String(data)));
    socket.addEventListener("local", ({ data }) => this.#answers.add(String(data)));
    socket.addEventListener("reset", ({ detail }) => {
      // In place of what it misses, so that whoever waits is told.
      this.#heard.add(`a reset ${JSON.stringify(detail)}`);
    });
  }

  get heard(): readonly string[] {
    return this.#heard.items;
  }

  /** What is wrong first, if anything is: it is to have heard this, in this order. */
  fault(order: readonly string[]): string | null {
    const different = order.findIndex((text, index) => this.heard[index] !== text);
    if (different === -1 && this.heard.length === order.length) return this.#misplaced;
    const at = different === -1 ? order.length : different;
    const there = `${this.heard[at] ?? "nothing"} and not ${order[at] ?? "nothing"}`;
    return `${this.#id} heard ${there} as message ${at + 1}`;
  }

  hears(count: number): Promise<void> {
    return this.#heard.until(() => this.heard.length >= count, `message ${count}`, crowdMs);
  }

  /** What the room class of its shard makes of the messages so far. */
  async sum(): Promise<string> {
    const { length } = this.#answers.items;
    this.#socket.send("sum");
    await this.#answers.until(() => this.#answers.items.length > length, "the sum");
    return this.#answers.items[length] ?? "";
  }

  leave(): void {
    this.#socket.close();
  }

  #hear(text: string): void {
    // Else the room class has answered.
    if (!/^\d+$/u.test(text)) return;
    this.#heard.add(text);
    const { seq } = this.#socket.position ?? {};
    if (seq !== this.heard.length) {
      this.#misplaced ??= `${this.#id} heard message ${seq} as its number ${this.heard.length}`;
    }
    this.#onHeard(this.heard.length);
  }
}

export class Crowd {
  readonly #listeners: readonly Listener[];
  #welcomed = new Set<string>();
  readonly #welcomes = new Recording<string>(String);
  readonly #most = new Recording<number>(String);

  constructor(place: Place, size: number) {
    const ids = Array.from({ length: size }, (_, index) => `listener-${index + 1}`);
    const onHeard = (count: number): void => {
      if (count > this.most) this.#most.add(count);
    };
    this.#listeners = ids.map(
      (id) => new Listener(place, id, { onOpen: () => this.#onWelcome(id), onHeard }),
    );
  }

  /** How many messages someone has heard. */
  get most(): number {
    return this.#most.items.length;
  }

  /** Resolves once so many are welcomed, or have been since they were forgotten. */
  async welcomes(count: number): Promise<void> {
    await this.#welcomes.until(() => this.#welcomed.size >= count, `${count} welcomes`, crowdMs);
  }

  /** The connections so far do not count any more. */
  forgetWelcomes(): void {
    this.#welcomed = new Set();
  }

  /** Resolves as soon as someone hears one that nobody else has heard. */
  async hearsNews(): Promise<void> {
    const goal = this.most + 1;
    await this.#most.until(() => this.most >= goal, `message ${goal}`, crowdMs);
  }

  /** Resolves once everyone has heard so many messages in all. */
  async hears(count: number): Promise<void> {
    await Promise.all(this.#listeners.map((listener) => listener.hears(count)));
  }

  /** A sentence for everyone who has not heard exactly this, in this order. */
  faults(order: readonly string[]): readonly string[] {
    return this.#listeners.flatMap((listener) => listener.fault(order) ?? []);
  }

  /** What the room class makes of the messages, each answer once: all shards agree on one. */
  async sums(): Promise<ReadonlySet<string>> {
    return new Set(await Promise.all(this.#listeners.map((listener) => listener.sum())));
  }

  leave(): void {
    for (const listener of this.#listeners) listener.leave();
  }

  #onWelcome(id: string): void {
    this.#welcomed.add(id);
    this.#welcomes.add(id);
  }
}
