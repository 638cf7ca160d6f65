/**
 * A client's socket: from the shard that accepted it to the client, in order. Either end may close
 * it, and it may break. Knows nothing of what the messages are.
 */
import type { SeatClaim } from "../../src/protocol/calls.ts";
import type { ClientRequest } from "../../src/protocol/client-request.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import type { MessageData } from "../../src/protocol/payload.ts";
import { Pipe } from "./network.ts";
import type { Environment } from "./environment.ts";

/** What happens at the client's end of a socket. */
export type ClientEnd = {
  received(client: Client, data: MessageData): void;
  /** The client's end has closed; `code` is `null` when the client itself left. */
  closed(client: Client, code: number | null): void;
};

/** What happens to a socket, for those who watch. */
export type ClientEvents = ClientEnd & {
  /** The shard has sent this. */
  sent(client: Client, data: MessageData): void;
  /** What the client said has reached the shard. */
  said(client: Client, data: MessageData): void;
  /** The shard's end has closed: the shard is to be told. */
  left(client: Client): void;
};

/** Whose socket it is, and what it asked for; outlives the shard's memory. */
export type Visitor = {
  readonly connection: string;
  readonly request: ClientRequest;
  /** What its ticket says, if it has one. */
  readonly claim?: SeatClaim | null;
};

export class Client {
  readonly number: number;
  readonly shard: ShardId;
  readonly visitor: Visitor;
  /** Who holds the client's end; without one it is a plain client, for the judge to watch. */
  owner: ClientEnd | null = null;
  readonly #world: Environment;
  readonly #events: ClientEvents;
  readonly #pipe: Pipe;
  /** From the client to the shard. */
  #upstream: Pipe | null = null;
  /** What arrived before the upgrade's answer did. */
  #early: (() => void)[] | null = [];
  /** The shard counts this socket and may send on it. */
  isOpenAtShard = true;
  /** The client has the socket and knows of no end. */
  isOpen = false;
  closedWith: number | null = null;
  /** Messages that the shard has sent, in order. */
  readonly sent: string[] = [];

  constructor(
    world: Environment,
    { number, shard, visitor }: Pick<Client, "number" | "shard" | "visitor">,
    events: ClientEvents,
  ) {
    this.#world = world;
    this.number = number;
    this.shard = shard;
    this.visitor = visitor;
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
    this.#events.sent(this, data);
    this.#arrive(() => {
      if (this.isOpen) this.#end.received(this, data);
    });
  }

  /** The client sends something to the shard. */
  say(data: MessageData): void {
    const { timeline, random, network } = this.#world;
    if (!this.isOpen) return;
    this.#upstream ??= new Pipe(timeline, random, () => network.delay());
    this.#upstream.send(() => {
      if (this.isOpenAtShard) this.#events.said(this, data);
    });
  }

  /** The shard closes the socket; its close event follows once the client has answered. */
  closeAtShard(code: number): void {
    if (!this.isOpenAtShard) return;
    this.isOpenAtShard = false;
    this.#arrive(() => this.#close(code));
    this.#world.timeline.after(this.#world.network.delay(), () => this.#events.left(this));
  }

  /** The client leaves. */
  leave(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#end.closed(this, null);
    this.#loseShardEnd();
  }

  /** The connection breaks; each end learns in its own time. */
  break(): void {
    this.#pipe.cut();
    this.#upstream?.cut();
    this.#loseShardEnd();
    this.#world.timeline.after(this.#slowly(), () => this.#close(1006));
  }

  /** The shard crashed: its end is gone at once. */
  die(): void {
    if (!this.isOpenAtShard) return;
    this.isOpenAtShard = false;
    this.#pipe.cut();
    this.#world.timeline.at(this.#pipe.clearAt, () => this.#close(1006));
  }

  #loseShardEnd(): void {
    this.#world.timeline.after(this.#slowly(), () => {
      if (!this.isOpenAtShard) return;
      this.isOpenAtShard = false;
      this.#events.left(this);
    });
  }

  get #end(): ClientEnd {
    return this.owner ?? this.#events;
  }

  #close(code: number): void {
    if (this.#early !== null) {
      this.#early.push(() => this.#close(code));
      return;
    }
    if (!this.isOpen) return;
    this.isOpen = false;
    this.closedWith = code;
    this.#end.closed(this, code);
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
