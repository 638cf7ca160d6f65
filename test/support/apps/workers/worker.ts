/** The test app as Durable Objects. */
import { Server, type Connection, type ConnectionContext, type WSMessage } from "partyserver";
import {
  playerOf,
  publish,
  registry,
  roomOf,
  routeRooms,
  router,
  shard,
  type Bindings,
} from "../../../../src/host/partyserver/index.ts";
import { Behaviour } from "../behaviour.ts";
import { refuseStranger } from "../members.ts";
import { rooms } from "../rooms.ts";

/** Shards to which every call fails from now on, though they and their sockets live. */
const deaf = new Set<string>();
/** Shards whose storage fails from their next start on. */
const spoiled = new Set<string>();

class TestRoom extends Server {
  readonly onBroadcast: Behaviour["onBroadcast"];
  readonly getSnapshot: Behaviour["getSnapshot"];
  readonly #behaviour: Behaviour;

  constructor(ctx: DurableObjectState, env: Bindings) {
    super(ctx, env);
    this.#behaviour = new Behaviour({
      id: ctx.id.name ?? "",
      publish: (data, options) => publish(this, data, options),
      roomOf: () => roomOf(this),
      playerOf: (client) => playerOf(this, client),
      broadcast: (message, without) => this.broadcast(message, without),
      clients: () => this.getConnections(),
      hasClient: (id) => this.getConnection(id) !== undefined,
      reset: () => void ctx.blockConcurrencyWhile(() => Promise.reject(new Error("reset"))),
    });
    this.onBroadcast = this.#behaviour.onBroadcast;
    this.getSnapshot = this.#behaviour.getSnapshot;
  }

  onRestore(snapshot: unknown): void {
    this.#behaviour.onRestore(snapshot);
  }

  override onStart(): Promise<void> {
    return this.#behaviour.onStart();
  }

  override onConnect(connection: Connection, { request }: ConnectionContext): void {
    this.#behaviour.onConnect(connection, new URL(request.url));
  }

  override getConnectionTags(_: Connection, { request }: ConnectionContext): string[] {
    const thrown = new URL(request.url).searchParams.get("throw");
    // Throws the words themselves, which are no error.
    if (thrown !== null) AbortSignal.abort(thrown).throwIfAborted();
    return [];
  }

  override onMessage(sender: Connection, message: WSMessage): void {
    if (message === "deafen") deaf.add(this.name);
    else if (message === "spoil") {
      spoiled.add(this.name);
      this.#behaviour.onMessage("crash", sender);
    } else this.#behaviour.onMessage(message, sender);
  }

  override onClose(connection: Connection): void {
    this.#behaviour.onClose(connection);
  }

  override async onRequest(request: Request): Promise<Response> {
    await this.#behaviour.onRequest(request);
    return new Response("ok");
  }
}

const failToList = () => Promise.reject(new Error("the storage failed on purpose"));

type Calls = { partyshardCall(request: unknown): Promise<unknown> };
const Shard = shard(TestRoom, rooms) as unknown as new (
  ctx: DurableObjectState,
  env: Bindings,
) => TestRoom & Calls;

export class Main extends Shard {
  constructor(ctx: DurableObjectState, env: Bindings) {
    if (spoiled.has(ctx.id.name ?? "")) {
      Object.defineProperty(ctx.storage, "list", { value: failToList });
    }
    super(ctx, env);
  }

  override async fetch(request: Request): Promise<Response> {
    this.#refuseIfDeaf();
    return super.fetch(request);
  }

  override async partyshardCall(request: unknown): Promise<unknown> {
    this.#refuseIfDeaf();
    return super.partyshardCall(request);
  }

  #refuseIfDeaf(): void {
    if (deaf.has(this.name)) throw new Error("deaf on purpose");
  }
}
export class Router extends router(rooms) {}
export class Registry extends registry(rooms) {}

export default {
  fetch: async (request, env) => refuseStranger(request) ?? routeRooms(request, env),
} satisfies ExportedHandler<Bindings>;
