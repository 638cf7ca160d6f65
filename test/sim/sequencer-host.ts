/** The host of the room's sequencer: starts it, hands calls on, dials links to shards. */
import type { Dialer, LinkEvents, Socket } from "../../src/core/ports.ts";
import type { RoomType } from "../../src/core/rooms.ts";
import { parseRequest } from "../../src/protocol/calls.ts";
import type { RoomId, ShardId } from "../../src/protocol/names.ts";
import { failure, success, type Result } from "../../src/protocol/result.ts";
import { Sequencer } from "../../src/sequencer/sequencer.ts";
import type { Environment } from "./environment.ts";
import { Link, type LinkEnd } from "./link.ts";
import { WorldObject, type Hosting, type Life } from "./object.ts";
import type { ShardHost } from "./shard-host.ts";
import type { Rows } from "./storage.ts";

export type SequencerHostOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly world: Environment;
  readonly shardHost: (shard: ShardId) => ShardHost;
  readonly stored: (puts: readonly Rows[]) => void;
};

export class SequencerHost implements Hosting<Sequencer> {
  readonly object: WorldObject<Sequencer>;
  readonly links = new Set<Link>();
  readonly #options: SequencerHostOptions;

  constructor(options: SequencerHostOptions) {
    this.#options = options;
    this.object = new WorldObject(options.world, `sequencer/${options.room}`, this);
  }

  start(life: Life<Sequencer>): Promise<Sequencer> {
    const ports = { ...life.ports(), registry: "default", dialer: this.#dialer(life) };
    return Sequencer.start(this.#options.type, ports);
  }

  async handle(sequencer: Sequencer, request: unknown): Promise<Result<unknown>> {
    const parsed = parseRequest("sequencer", request);
    return parsed.ok ? sequencer.handle(parsed.value) : parsed;
  }

  wake(sequencer: Sequencer): void {
    sequencer.wake();
  }

  ended(): void {
    for (const link of this.links) link.die("sequencer");
    this.links.clear();
  }

  stored(puts: readonly Rows[]): void {
    this.#options.stored(puts);
  }

  #dialer(life: Life<Sequencer>): Dialer {
    return {
      dial: (shard, events) =>
        new Promise((resolve) => {
          life.busy += 1;
          life.output(() => this.#dial(life, shard, events, resolve));
        }),
    };
  }

  #dial(
    life: Life<Sequencer>,
    shard: ShardId,
    events: LinkEvents,
    resolve: (result: Result<Socket>) => void,
  ): void {
    const { world } = this.#options;
    const host = this.#options.shardHost(shard);
    const end = new DialedEnd(world, life, events);
    world.network.exchange<Link | null>({
      from: this.object.address,
      to: host.object.address,
      isRepeatable: false,
      arrive: (answering) => {
        if (world.random.chance(world.network.rates.refusedDial)) {
          answering.answer(null);
          return;
        }
        const link = this.#connect(host, end);
        if (life.isOver) {
          this.links.delete(link);
          link.die("sequencer");
        }
        answering.answer(link, () => link.break(0));
      },
      done: (link) => {
        life.busy -= 1;
        if (life.isOver) return;
        if (link === null) {
          resolve(failure("unreachable", "the shard did not answer the dial"));
          return;
        }
        end.open();
        resolve(
          success({
            send: (data) => life.output(() => link.send("sequencer", String(data))),
            close: (code) => life.output(() => link.close("sequencer", code)),
          }),
        );
      },
    });
  }

  #connect(host: ShardHost, end: DialedEnd): Link {
    const { world, room } = this.#options;
    const link: Link = new Link(
      world,
      { sequencer: `sequencer/${room}`, shard: host.object.address },
      {
        sequencer: {
          message: (text) => end.message(text),
          closed: (code) => {
            this.links.delete(link);
            end.closed(code);
          },
        },
        shard: {
          message: (text) => host.handleLinkMessage(link, text),
          closed: () => host.handleLinkClosed(link),
        },
      },
    );
    this.links.add(link);
    host.acceptLink(link);
    return link;
  }
}

/** The end that dialled: events wait until the dial has resolved. */
class DialedEnd implements LinkEnd {
  readonly #world: Environment;
  readonly #life: Life<Sequencer>;
  readonly #events: LinkEvents;
  #early: (() => void)[] | null = [];
  #isOpen = false;

  constructor(world: Environment, life: Life<Sequencer>, events: LinkEvents) {
    this.#world = world;
    this.#life = life;
    this.#events = events;
  }

  open(): void {
    this.#isOpen = true;
    // An open link keeps its object in memory.
    this.#life.busy += 1;
    this.#world.timeline.after(0, () => {
      const early = this.#early ?? [];
      this.#early = null;
      for (const event of early) event();
    });
  }

  message(text: string): void {
    this.#after(() => this.#events.message(text));
  }

  closed(code: number): void {
    this.#after(() => {
      if (this.#isOpen) this.#life.busy -= 1;
      this.#events.close(code);
    });
  }

  #after(event: () => void): void {
    const run = (): void => {
      if (!this.#life.isOver) event();
    };
    if (this.#early === null) run();
    else this.#early.push(run);
  }
}
