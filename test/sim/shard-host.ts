/**
 * The host of one shard, as the adapters do it: keeps the sockets that outlive the shard's memory,
 * hands events on, accepts and welcomes. Knows nothing of messages.
 */
import { hub } from "../../src/core/partitions.ts";
import type { MessageData } from "../../src/protocol/payload.ts";
import type { Socket } from "../../src/core/ports.ts";
import { parseRequest } from "../../src/protocol/calls.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { Result } from "../../src/protocol/result.ts";
import type { RoomType } from "../../src/core/rooms.ts";
import type { Entry } from "../../src/shard/admission.ts";
import type { IncomingLink } from "../../src/shard/intake.ts";
import { Shard } from "../../src/shard/shard.ts";
import type { Client, Visitor } from "./client.ts";
import type { Environment } from "./environment.ts";
import type { Link } from "./link.ts";
import type { Answering } from "./network.ts";
import { WorldObject, type Hosting, type Life } from "./object.ts";
import { forgetAsPlanted, sendAsPlanted, takenForGranted } from "./planted-bugs.ts";
import { watchedStorage } from "./storage.ts";
import { roomClass, type HookScene } from "./room-class.ts";

/** Told what happens between the shard and its clients of protocol 1, in the order in which it does. */
type Watcher = {
  /** The shard has had its clients sent everything up to here. */
  delivered(shard: ShardId, seq: number): void;
  /** The shard takes this from the client, having delivered everything up to `delivered`. */
  takes(client: Client, data: MessageData, delivered: number): void;
  /** The shard has forgotten what these had been sent. */
  slept(clients: Iterable<Client>): void;
};

/** Told who asks for a place, and who gets one. */
type SeatWatcher = {
  asking(visitor: Visitor): void;
  /** What the shard said to somebody who asked at that time. */
  asked(shard: ShardId, visitor: Visitor, admitted: Result<Entry>, at: number): void;
  welcomed(client: Client, entry: Entry): void;
  disposed(shard: ShardId): void;
};

export type ShardHostOptions = {
  readonly shard: ShardId;
  readonly type: RoomType;
  /** The registry's partition that a new life reports to. Default: the hub. */
  readonly registry?: () => string;
  readonly seats?: SeatWatcher;
  readonly world: Environment;
  readonly hook: HookScene;
  readonly watcher: Watcher;
  readonly newClient: (shard: ShardId, visitor: Visitor, host: ShardHost) => Client;
};

/** What a shard answers to an upgrade. */
export type Upgraded = { readonly client: Client } | { readonly code: string };

export class ShardHost implements Hosting<Shard> {
  readonly object: WorldObject<Shard>;
  /** Sockets whose end the shard has not been told. */
  readonly clients = new Set<Client>();
  readonly welcomed = new Set<Client>();
  readonly #links = new Set<Link>();
  /** Links that the shard has not been told of yet. */
  readonly #arriving = new Set<Link>();
  readonly #options: ShardHostOptions;
  #delivered = 0;
  /** What the shard's present life knows them as. */
  #sockets = new Map<Client, Socket>();
  #linkSockets = new Map<Link, IncomingLink>();

  constructor(options: ShardHostOptions) {
    this.#options = options;
    this.object = new WorldObject(options.world, `shard/${options.shard}`, this);
  }

  start(life: Life<Shard>): Promise<Shard> {
    const { shard, type, world } = this.#options;
    this.#sockets = new Map();
    this.#linkSockets = new Map();
    // Platforms differ in whether the socket whose end wakes the object is still listed.
    const listsEnding = world.random.chance(0.5);
    const clients = [...this.clients].filter((each) => listsEnding || each.isOpenAtShard);
    const links = [...this.#links].filter((each) => listsEnding || each.isHeldBy("shard"));
    const own = life.ports();
    const ports = {
      ...own,
      storage: watchedStorage(own.storage, (position) => this.#deliveredTo(position)),
      registry: this.#options.registry?.() ?? hub,
      ...roomClass(this.#options, life),
      onHookError: () => {},
      ...(world.options.bounds === undefined ? {} : { bounds: world.options.bounds }),
    };
    return Shard.start(
      shard,
      type,
      ports,
      clients.map((client) => ({ socket: this.#socket(client, life), ...client.visitor })),
      links.map((link) => this.#linkSocket(link, life)),
    );
  }

  async handle(shard: Shard, request: unknown): Promise<Result<unknown>> {
    const parsed = parseRequest("shard", request);
    if (!parsed.ok) return parsed;
    const { shard: id, seats, world } = this.#options;
    if (world.options.planted === "fence-unheard" && parsed.value.type === "fenced") {
      return { ok: true, value: null };
    }
    if (parsed.value.type === "dispose") seats?.disposed(id);
    return shard.handle(parsed.value);
  }

  wake(shard: Shard): void {
    shard.wake();
  }

  ended(how: "crashed" | "evicted"): void {
    const { planted } = this.#options.world.options;
    if (how === "evicted") {
      this.#options.watcher.slept(this.clients);
      forgetAsPlanted(planted, this.#links, this.object.rows.values);
      return;
    }
    for (const client of this.clients) client.die();
    for (const link of [...this.#links, ...this.#arriving]) link.die("shard");
    this.clients.clear();
    this.welcomed.clear();
    this.#links.clear();
    this.#arriving.clear();
  }

  stored(): void {}

  /** A link has reached the shard, which may have to start for it. */
  acceptLink(link: Link): void {
    this.#arriving.add(link);
    this.object.deliver((shard, life) => {
      this.#arriving.delete(link);
      this.#links.add(link);
      shard.handleLinkOpen(this.#linkSocket(link, life));
    });
  }

  handleLinkMessage(link: Link, text: string): void {
    this.object.deliver((shard, life) => {
      const work = shard.handleLinkMessage(this.#linkSocket(link, life), text);
      if (work === undefined) return;
      life.busy += 1;
      void work.then(
        () => (life.busy -= 1),
        (error: unknown) => this.#options.world.fail(error),
      );
    });
  }

  handleLinkClosed(link: Link): void {
    this.object.deliver((shard, life) => {
      shard.handleLinkClose(this.#linkSocket(link, life));
      this.#links.delete(link);
    });
  }

  /** An upgrade has reached the shard: admitted, accepted and welcomed in that order. */
  upgrade(visitor: Visitor, answering: Answering<Upgraded>): void {
    const { world } = this.#options;
    const answer = (upgraded: Upgraded): void => {
      answering.answer(upgraded, () => "client" in upgraded && upgraded.client.break());
    };
    const abandon = (): void => answering.abandon();
    this.object.serve<Upgraded>({ answer, abandon }, async (shard, life) => {
      const askedAt = world.clock.now();
      this.#options.seats?.asking(visitor);
      const admitted = await this.#admit(shard, visitor);
      if (!life.isOver) this.#options.seats?.asked(this.#options.shard, visitor, admitted, askedAt);
      // Between the two, frameworks run code of their own.
      if (world.random.chance(0.2)) await world.timeline.sleep(world.random.between(0, 20));
      if (life.isOver) return { code: "unavailable" };
      return admitted.ok
        ? this.#accept(shard, life, visitor, admitted.value)
        : this.#refuse(admitted.code, visitor);
    });
  }

  async #admit(shard: Shard, { connection, request, claim }: Visitor): Promise<Result<Entry>> {
    const { planted } = this.#options.world.options;
    const read = planted === "resumed-unread" ? { ...request, resume: null } : request;
    const admitted = shard.admit(connection, read, claim ?? null);
    if (planted !== "welcome-before-subscribe") return admitted;
    return Promise.race([admitted, takenForGranted()]);
  }

  #accept(shard: Shard, life: Life<Shard>, visitor: Visitor, entry: Entry): Upgraded {
    const { world } = this.#options;
    if (world.random.chance(world.network.rates.lostReply / 4)) {
      shard.release(entry);
      return { code: "unavailable" };
    }
    const client = this.#newClient(visitor);
    this.welcomed.add(client);
    const { connection, request } = visitor;
    const isIn = shard.welcome(this.#socket(client, life), connection, request, entry);
    if (isIn) this.#options.seats?.welcomed(client, entry);
    return { client };
  }

  /** A host that cannot refuse an upgrade accepts it and closes the socket with a code. */
  #refuse(code: string, visitor: Visitor): Upgraded {
    if (this.#options.world.options.host === "workers") return { code };
    const client = this.#newClient(visitor);
    this.clients.delete(client);
    const isMoved = code === "draining" || code === "fenced";
    client.closeAtShard(code === "full" ? 4002 : isMoved ? 4000 : 4003);
    return { client };
  }

  #newClient(visitor: Visitor): Client {
    const client = this.#options.newClient(this.#options.shard, visitor, this);
    this.clients.add(client);
    return client;
  }

  /** A client's frame has reached the shard. */
  handleClientMessage(client: Client, data: MessageData): void {
    this.object.deliver((shard, life) => {
      const speaker = shard.protocolClient(this.#socket(client, life));
      if (speaker === undefined) return;
      const delivered = this.#delivered;
      life.output(() => this.#options.watcher.takes(client, data, delivered));
      shard.receive(speaker, data);
    });
  }

  /** The shard's end of a client's socket has closed. */
  handleClientClosed(client: Client): void {
    if (!this.clients.has(client)) return;
    this.welcomed.delete(client);
    this.object.deliver((shard, life) => {
      const socket = this.#socket(client, life);
      this.clients.delete(client);
      shard.leave(socket);
    });
  }

  #socket(client: Client, life: Life<Shard>): Socket {
    const { planted } = this.#options.world.options;
    let socket = this.#sockets.get(client);
    if (socket === undefined) {
      socket = {
        send: (data: MessageData) =>
          life.output(() => client.send(sendAsPlanted(planted, client, data))),
        close: (code) => life.output(() => client.closeAtShard(code)),
      };
      this.#sockets.set(client, socket);
    }
    return socket;
  }

  #linkSocket(link: Link, life: Life<Shard>): IncomingLink {
    let socket = this.#linkSockets.get(link);
    if (socket === undefined) {
      socket = {
        get position() {
          return link.kept;
        },
        keep: (position: Position) => {
          if (life.isOver) return;
          link.kept = position;
          this.#deliveredTo(position);
        },
        send: (data) => life.output(() => link.send("shard", String(data))),
        close: (code) => life.output(() => link.close("shard", code)),
      };
      this.#linkSockets.set(link, socket);
    }
    return socket;
  }

  #deliveredTo({ seq }: Position): void {
    this.#delivered = Math.max(this.#delivered, seq);
    this.#options.watcher.delivered(this.#options.shard, this.#delivered);
  }
}
