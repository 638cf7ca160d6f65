/** One shard on fake ports, driven by a test that stands for host, sequencer and registry. */
import type { RoomTypeOptions } from "../../src/core/rooms.ts";
import type { LogRange } from "../../src/protocol/calls.ts";
import { encodeClientFrame, type ClientFrame } from "../../src/protocol/client.ts";
import type { ClientRequest } from "../../src/protocol/client-request.ts";
import {
  encodeFrame,
  type BatchFrame,
  type FrameToShard,
  type Position,
} from "../../src/protocol/link.ts";
import type { MessageData } from "../../src/protocol/payload.ts";
import type { ShardId } from "../../src/protocol/names.ts";
import type { BroadcastHook } from "../../src/shard/fan-out.ts";
import { plainRequest, type ClientSocket } from "../../src/shard/clients.ts";
import { Shard } from "../../src/shard/shard.ts";
import type { AudienceBounds } from "../../src/shard/audience.ts";
import type { Answer, Call } from "./fake-calls.ts";
import { fakePorts, type FakePorts } from "./fake-ports.ts";
import { FakeLink, FakeSocket } from "./fake-socket.ts";
import { ModelClient } from "./model-client.ts";
import { roomType } from "./sequencer-rig.ts";
import { turns } from "./turns.ts";

export const epoch = "e1";

type Start = RoomTypeOptions & {
  /** Its first generation when left out. */
  readonly id?: string;
  readonly onBroadcast?: BroadcastHook;
  readonly onHookError?: (error: unknown) => void;
  /** What is left of a former life. */
  readonly ports?: FakePorts;
  readonly clients?: readonly (FakeSocket | ClientSocket)[];
  readonly canReplay?: boolean;
  readonly bounds?: AudienceBounds;
  readonly links?: readonly FakeLink[];
};

export class ShardRig {
  readonly ports: FakePorts;
  readonly hookErrors: unknown[] = [];
  /** The head that the sequencer tells subscribers. */
  head = 0;
  /** What the sequencer's log holds. */
  log: BatchFrame[] = [];
  #shard: Shard | undefined;
  #connections = 0;
  #subscriptions = 0;
  #options: RoomTypeOptions & Pick<Start, "id" | "onBroadcast" | "canReplay" | "bounds"> = {};

  private constructor(ports: FakePorts) {
    this.ports = ports;
    ports.calls.answer = (call) => this.answer(call);
  }

  static async start(options: Start = {}): Promise<ShardRig> {
    const { onBroadcast, canReplay, bounds, ports = fakePorts(), ...rest } = options;
    const { id: name = "lobby-1", onHookError: report, ...more } = rest;
    const { clients = [], links = [], ...type } = more;
    const rig = new ShardRig(ports);
    rig.#options = { ...options };
    const hook = {
      ...(onBroadcast === undefined ? {} : { onBroadcast }),
      ...(canReplay === undefined ? {} : { canReplay }),
      ...(bounds === undefined ? {} : { bounds }),
    };
    const onHookError = report ?? ((error): void => void rig.hookErrors.push(error));
    const shardPorts = { ...ports, registry: "default", onHookError, ...hook };
    const id = name as ShardId;
    rig.#shard = await Shard.start(id, roomType(type), shardPorts, clients.map(survivor), links);
    return rig;
  }

  get shard(): Shard {
    if (this.#shard === undefined) throw new Error("the shard has not started");
    return this.#shard;
  }

  /** Sequencer and registry are there; a test may answer otherwise. */
  answer({ request }: Call): Answer {
    if (request.type === "read") return { ok: true, value: this.#read(request.position) };
    if (request.type !== "subscribe") return { ok: true, value: null };
    this.#subscriptions += 1;
    const subscription = `s${this.#subscriptions}`;
    return { ok: true, value: { epoch, seq: this.head, subscription } };
  }

  #read(position: Position | null): LogRange {
    const start = this.log[0]?.after ?? this.head;
    const seq = position?.epoch === epoch ? position.seq : start;
    const after = Math.max(Math.min(seq, this.head), start);
    const frames = this.log.filter(({ through }) => through > after).map(encodeFrame);
    return { epoch, after, through: this.head, frames };
  }

  /** Messages that the sequencer has and this shard was never sent. */
  remember(...entries: string[]): void {
    const after = this.head;
    this.head += entries.length;
    const at = this.ports.clock.now();
    this.log.push({ type: "batch", epoch, after, through: this.head, at, entries });
  }

  /** A client comes in, as the host lets it. */
  async join(): Promise<FakeSocket> {
    this.#connections += 1;
    const admitted = await this.shard.admit(`c${this.#connections}`);
    if (!admitted.ok) throw new Error(admitted.code);
    const client = new FakeSocket();
    this.shard.welcome(client);
    return client;
  }

  /** A client of protocol 1 comes in; its connection's name is given when that matters. */
  async joinProtocol(
    asked: Partial<ClientRequest> = {},
    name = `c${(this.#connections += 1)}`,
  ): Promise<ModelClient> {
    const request = { ...plainRequest, ...asked, speaksProtocol: true };
    const admitted = await this.shard.admit(name, request);
    if (!admitted.ok) throw new Error(admitted.code);
    const client = new ModelClient(name, request, this.#options.bounds?.window.maxUnits);
    this.shard.welcome(client.socket, name, request, admitted.value);
    client.take();
    return client;
  }

  /** The client says this; returns what the room class is to get of it. */
  receive(client: ModelClient, frame: ClientFrame | MessageData): MessageData | null {
    const known = this.shard.protocolClient(client.socket);
    if (known === undefined) throw new Error("the shard knows no such client");
    const isRaw = typeof frame === "string" || frame instanceof Uint8Array;
    const result = this.shard.receive(known, isRaw ? frame : encodeClientFrame(frame));
    client.take();
    return result;
  }

  /** The same object's next life, in which these sockets are still open. */
  async sleep(
    clients: readonly (FakeSocket | ModelClient)[],
    links: readonly FakeLink[] = [],
  ): Promise<ShardRig> {
    await turns();
    const storage = this.ports.storage.restart();
    const survivors = clients.map((client) => {
      if (client instanceof FakeSocket) return client;
      client.take();
      client.forgetWindow();
      return { socket: client.socket, connection: client.name, request: client.request };
    });
    const ports = { ...this.ports, storage };
    const woken = await ShardRig.start({ ...this.#options, ports, clients: survivors, links });
    woken.head = this.head;
    woken.log = this.log;
    return woken;
  }

  openLink(): FakeLink {
    const link = new FakeLink();
    this.shard.handleLinkOpen(link);
    return link;
  }

  async say(link: FakeLink, frame: FrameToShard): Promise<void> {
    await this.shard.handleLinkMessage(link, encodeFrame(frame));
  }

  /** A batch of these messages, which follow on number `after`. */
  batch(link: FakeLink, after: number, ...entries: string[]): Promise<void> {
    const through = after + entries.length;
    const at = this.ports.clock.now();
    return this.say(link, { type: "batch", epoch, after, through, at, entries });
  }

  async pass(ms: number): Promise<void> {
    this.ports.clock.advance(ms);
    this.shard.wake();
    await turns();
  }

  async passToWake(): Promise<void> {
    const { at } = this.ports.wakeups;
    if (at === null) throw new Error("no wake-up was asked for");
    await this.pass(Math.max(0, at - this.ports.clock.now()));
  }
}

/** A socket that outlived the object's memory: a plain one, unless more is said of it. */
function survivor(client: FakeSocket | ClientSocket): ClientSocket {
  return client instanceof FakeSocket
    ? { socket: client, connection: "", request: plainRequest }
    : client;
}
