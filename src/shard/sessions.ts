/**
 * The clients of one shard that speak protocol 1: their welcome, what they send, and what of them
 * must outlive the object's memory. Knows nothing of links or of who is admitted.
 */
import * as v from "valibot";
import type { Clock, Socket, Storage } from "../core/ports.ts";
import { seriesOf } from "../core/idempotency.ts";
import type { RoomType } from "../core/rooms.ts";
import { TopicFilters } from "../core/topics.ts";
import { parseClientFrame, protocolVersion, type ClientFrame } from "../protocol/client.ts";
import type { ClientRequest } from "../protocol/client-request.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { Position } from "../protocol/link.ts";
import type { ShardId } from "../protocol/names.ts";
import { decodePayload, payloadBytes, type MessageData } from "../protocol/payload.ts";
import { isProblemCode, problemDocument, type ProblemCode } from "../protocol/problems.ts";
import { maxUnanswered } from "../protocol/publish-id.ts";
import type { Audience } from "./audience.ts";
import { ProtocolClient } from "./protocol-client.ts";
import type { Upstream } from "./upstream.ts";

export type SessionsOwner = {
  readonly shard: ShardId;
  readonly type: RoomType;
  readonly clock: Clock;
  readonly storage: Storage;
  readonly audience: Audience;
  readonly upstream: Upstream;
  readonly count: (what: string) => void;
};

/** Characters of a frame beside its message: names, an id, a hundred topics. */
const frameOverhead = 16 * 1024;

/** Written when a client changes its topics, which its query then no longer tells. */
const rowSchema = v.object({
  topics: v.array(v.string()),
  /** The connection had several sockets, and nobody can tell whose this is. */
  isShared: v.optional(v.literal(true)),
});

export class Sessions {
  readonly #owner: SessionsOwner;
  /** JSON writes a byte as six characters at most. */
  readonly #maxFrameLength: number;
  /**
   * Connections that have a row, and the clients that it may be taken for. There may be several of a
   * connection: one that comes back before its former socket has closed, and an upgrade that was
   * given up and arrives later all the same.
   */
  readonly #stored = new Map<string, Set<ProtocolClient>>();

  constructor(owner: SessionsOwner) {
    this.#owner = owner;
    this.#maxFrameLength = owner.type.maxMessageBytes * 6 + frameOverhead;
  }

  /**
   * A client is welcomed where it was, if `isHeld` says that what follows can be given to it.
   * `session` is its seat's secret, if it has one.
   */
  welcome(
    socket: Socket,
    { connection, session }: { readonly connection: string; readonly session: string | null },
    request: ClientRequest,
    position: Position,
    isHeld: boolean,
  ): void {
    const { audience, clock, shard } = this.#owner;
    const recovered = request.resume !== null && isHeld;
    const seq = recovered ? request.resume.seq : position.seq;
    const client = new ProtocolClient(
      connection,
      socket,
      new TopicFilters(request.topics),
      seq,
      audience.window,
    );
    client.send({
      type: "welcome",
      protocol: protocolVersion,
      connection,
      shard,
      epoch: position.epoch,
      seq,
      recovered,
      ...(session === null ? {} : { session }),
    });
    // A row of that connection is its former socket's, whose end may not have been seen.
    if (this.#stored.has(connection)) this.store(client);
    audience.addProtocol(client, clock.now());
  }

  /**
   * Clients whose sockets outlived the object's memory; none lagged, since a timer runs while one
   * does. Those must come back of whom nobody knows which of a connection's sockets a row tells of.
   * Rows that tell of nobody are deleted.
   */
  async restore(
    clients: Iterable<{ socket: Socket; connection: string; request: ClientRequest }>,
    seq: number,
  ): Promise<void> {
    const { audience, storage } = this.#owner;
    const rows = await storage.list("client/");
    const unused = new Set(rows.keys());
    const all = [...clients];
    const repeated = repeatedIn(all.map(({ connection }) => connection));
    for (const { socket, connection, request } of all) {
      const row = v.safeParse(rowSchema, rows.get(`client/${connection}`));
      const filters = new TopicFilters(row.success ? row.output.topics : request.topics);
      const client = new ProtocolClient(connection, socket, filters, seq, audience.window);
      const isShared = row.success && (row.output.isShared === true || repeated.has(connection));
      if (isShared) {
        client.close(closeCodes.tooSlow, "connect again and resume");
        continue;
      }
      audience.restoreProtocol(client);
      if (!row.success) continue;
      this.#stored.set(connection, new Set([client]));
      unused.delete(`client/${connection}`);
    }
    if (unused.size > 0) storage.delete([...unused]);
  }

  /** The client has changed its topics. */
  store(client: ProtocolClient): void {
    const clients = this.#stored.get(client.id) ?? new Set();
    this.#stored.set(client.id, clients.add(client));
    this.#write(client);
  }

  /** What the room class is to get of a client's frame, or `null`. */
  receive(client: ProtocolClient, message: MessageData): MessageData | null {
    if (message === "ping") {
      client.pong();
      return null;
    }
    if (message.length > this.#maxFrameLength) {
      this.#refuse(client, `a frame must not exceed ${this.#maxFrameLength} characters`);
      return null;
    }
    const frame = typeof message === "string" ? parseClientFrame(message) : null;
    if (frame?.ok !== true) {
      this.#refuse(client, frame?.detail ?? "frames of protocol 1 are text");
      return null;
    }
    return this.#take(client, frame.value);
  }

  leave(client: ProtocolClient): void {
    const clients = this.#stored.get(client.id);
    if (clients?.delete(client) !== true) return;
    const [other] = clients;
    if (other !== undefined) return this.#write(other);
    this.#stored.delete(client.id);
    this.#owner.storage.delete([`client/${client.id}`]);
  }

  #write(client: ProtocolClient): void {
    const hasOthers = (this.#stored.get(client.id)?.size ?? 0) > 1;
    const row = {
      topics: [...client.filters],
      ...(hasOthers ? { isShared: true } : {}),
    };
    this.#owner.storage.put({ [`client/${client.id}`]: row });
  }

  #take(client: ProtocolClient, frame: ClientFrame): MessageData | null {
    const { audience, clock } = this.#owner;
    switch (frame.type) {
      case "ack":
        if (!audience.acknowledge(client, frame.seq, clock.now())) {
          this.#refuse(client, `message ${frame.seq} was never sent to this client`);
        }
        return null;
      case "subscribe":
        audience.subscribe(client, new TopicFilters(frame.topics), clock.now());
        // It may have been closed for what it lacks, and is no client any more.
        if (audience.has(client.socket)) this.store(client);
        return null;
      case "publish":
        void this.#publish(client, frame);
        return null;
      case "send":
        if (payloadBytes(frame.data) > this.#owner.type.maxMessageBytes) {
          this.#refuse(client, `data must not exceed ${this.#owner.type.maxMessageBytes} bytes`);
          return null;
        }
        return decodePayload(frame.data);
    }
  }

  async #publish(
    client: ProtocolClient,
    frame: Extract<ClientFrame, { type: "publish" }>,
  ): Promise<void> {
    const { audience, clock, type, upstream } = this.#owner;
    const { id, data, topic = null } = frame;
    if (!type.publishOverSocket) {
      this.#reject(client, id, "publish-not-allowed", "clients of this room type publish by POST");
      return;
    }
    if (payloadBytes(data) > type.maxMessageBytes) {
      const detail = `a message must not exceed ${type.maxMessageBytes} bytes`;
      this.#reject(client, id, "payload-too-large", detail);
      return;
    }
    // A repeat of what is still under way: one answer is for both.
    if (client.unanswered.has(id)) return;
    if (client.unanswered.size >= maxUnanswered) {
      const detail = `a client must not have more than ${maxUnanswered} publishes unanswered`;
      this.#reject(client, id, "overloaded", detail);
      return;
    }
    client.unanswered.add(id);
    const named = seriesOf(id, client.id);
    const unnamed = seriesOf("", client.id);
    if (named !== unnamed) client.series ??= named;
    // One name a connection, or a client could fill the room's memory of keys with names.
    const series = named === client.series ? named : unnamed;
    const result = await upstream.publish({ message: data, key: id, series, topic });
    client.unanswered.delete(id);
    if (result.ok) {
      audience.say(client, { type: "published", id, ...result.value }, clock.now());
    } else {
      const code = isProblemCode(result.code) ? result.code : "unavailable";
      this.#reject(client, id, code, result.detail);
    }
  }

  #reject(client: ProtocolClient, id: string, code: ProblemCode, detail: string): void {
    const { audience, clock, count } = this.#owner;
    count(code);
    const problem = problemDocument(code, detail);
    audience.say(client, { type: "rejected", id, problem }, clock.now());
  }

  #refuse(client: ProtocolClient, detail: string): void {
    this.#owner.count("malformed_client_frames");
    // A close reason is at most 123 bytes, and the detail quotes what the client sent.
    const reason = detail.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 100);
    client.close(closeCodes.malformedFrame, reason);
  }
}

function repeatedIn(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>();
  // The set grows by a name that it does not hold yet.
  return new Set(names.filter((name) => seen.size === seen.add(name).size));
}
