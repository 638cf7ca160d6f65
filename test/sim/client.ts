/**
 * A client's socket: from the shard that accepted it to the client, in order. Either end may close
 * it, and it may break. Knows nothing of what the messages are.
 */
import type { MessageData } from "../../src/protocol/payload.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import { Pipe } from "./network.ts";
import type { Environment } from "./environment.ts";

/** What happens to a socket, for those who watch. */
export type ClientEvents = {
  received(client: Client, data: MessageData): void;
  /** The client's end has closed; `code` is `null` when the client itself left. */
  closed(client: Client, code: number | null): void;
  /** The shard's end has closed: the shard is to be told. */
  left(client: Client): void;
};

export class Client {
  readonly number: number;
  readonly shard: ShardId;
  readonly #world: Environment;
  readonly #events: ClientEvents;
  readonly #pipe: Pipe;
  /** What arrived before the upgrade's answer did. */
  #early: (() => void)[] | null = [];
  /** The shard counts this socket and may send on it. */
  isOpenAtShard = true;
  /** The client has the socket and knows of no end. */
  isOpen = false;
  closedWith: number | null = null;
  /** Messages that the shard has sent, in order. */
  readonly sent: string[] = [];

  constructor(world: Environment, number: number, shard: ShardId, events: ClientEvents) {
    this.#world = world;
    this.number = number;
    this.shard = shard;
    this.#events = events;
    this.#pipe = new Pipe(world.timeline, world.random, () => world.network.delay());
  }

  /** The upgrade's answer has reached the client. */
  open(): void {
    this.isOpen = true;
    const early = this.#early ?? [];
    this.#early = null;
    for (const arrive of early) arrive();
  }

  send(data: MessageData): void {
    if (!this.isOpenAtShard) return;
    this.sent.push(typeof data === "string" ? data : new TextDecoder().decode(data));
    this.#arrive(() => {
      if (this.isOpen) this.#events.received(this, data);
    });
  }

  /** The shard closes the socket; its close event follows once the client has answered. */
  closeAtShard(code: number): void {
    if (!this.isOpenAtShard) return;
    this.isOpenAtShard = false;
    this.#arrive(() => this.#end(code));
    this.#world.timeline.after(this.#world.network.delay(), () => this.#events.left(this));
  }

  /** The client leaves. */
  leave(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#events.closed(this, null);
    this.#loseShardEnd();
  }

  /** The connection breaks; each end learns in its own time. */
  break(): void {
    this.#pipe.cut();
    this.#loseShardEnd();
    this.#world.timeline.after(this.#slowly(), () => this.#end(1006));
  }

  /** The shard crashed: its end is gone at once. */
  die(): void {
    if (!this.isOpenAtShard) return;
    this.isOpenAtShard = false;
    this.#pipe.cut();
    this.#world.timeline.at(this.#pipe.clearAt, () => this.#end(1006));
  }

  #loseShardEnd(): void {
    this.#world.timeline.after(this.#slowly(), () => {
      if (!this.isOpenAtShard) return;
      this.isOpenAtShard = false;
      this.#events.left(this);
    });
  }

  #end(code: number): void {
    if (this.#early !== null) {
      this.#early.push(() => this.#end(code));
      return;
    }
    if (!this.isOpen) return;
    this.isOpen = false;
    this.closedWith = code;
    this.#events.closed(this, code);
  }

  #arrive(event: () => void): void {
    this.#pipe.send(() => {
      if (this.#early === null) event();
      else this.#early.push(event);
    });
  }

  #slowly(): number {
    const { random } = this.#world;
    return random.chance(0.2) ? random.between(1_000, 20_000) : random.between(0.5, 50);
  }
}
