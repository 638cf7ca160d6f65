/**
 * The room class of the test app, without its host: what it does depends on the room's type. Clients
 * speak to it in lines of text; a word it does not know goes to the other clients of the shard.
 */
import type { BroadcastMessage } from "../../../src/index.ts";
import type { RoomPublishOptions } from "../../../src/shard/room-publisher.ts";

type Data = string | Uint8Array;
type Client = {
  readonly id: string;
  send(data: string): void;
  close(code: number, reason: string): void;
};

/** What the class uses of its host. */
export type Platform = {
  /** What partyshard gives it, on either host. */
  publish(data: Data, options: RoomPublishOptions): Promise<unknown>;
  roomOf(): string;
  playerOf(client: Client): string | null;
  /** The shard's id. */
  readonly id: string;
  broadcast(message: string | ArrayBuffer | ArrayBufferView, without?: string[]): void;
  clients(): Iterable<Client>;
  hasClient(id: string): boolean;
  /** Ends the object: memory and sockets are gone. */
  reset(): void;
};

type Told = readonly [data: string, options?: RoomPublishOptions];

type Sum = { readonly total: number; readonly count: number };

type Hook = (message: BroadcastMessage) => Data | null | Promise<Data | null>;

/** Shards that were told to stick, which outlives them, until another one frees them. */
const stuck = new Map<string, PromiseWithResolvers<undefined>>();

/** Shards that were told to break, for good. */
const broken = new Set<string>();

/** Types whose clients are not told who has left. */
const quiet: ReadonlySet<string> = new Set(["default", "crowd"]);

export class Behaviour {
  readonly #platform: Platform;
  readonly #type: string;
  /** Another one after the object has lost its memory. */
  readonly #life = crypto.randomUUID();
  #gate = Promise.withResolvers<undefined>();
  #sum: Sum = { total: 0, count: 0 };
  #failing = "";
  #hoard = "";

  constructor(platform: Platform) {
    this.#platform = platform;
    this.#type = platform.id.includes(":") ? (platform.id.split(":")[0] ?? "") : "default";
  }

  /** The class's `onBroadcast`, or `undefined` where the type has none. */
  get onBroadcast(): Hook | undefined {
    switch (this.#type) {
      case "requests":
        return undefined;
      case "transform":
        return (message) => this.#transform(message);
      case "waiting":
        return (message) => this.#wait(message);
      case "throwing":
        return (message) => fail(message);
      case "adding":
      case "solo":
      case "lively":
      case "crowd":
        return (message) => this.#add(message);
      case "forgetful":
        return ({ data }) => {
          this.#failing = String(data);
          return data;
        };
      case "hoarding":
        return ({ data }) => {
          this.#hoard = hoardOf(Number(data));
          return data;
        };
      case "witness":
        return ({ data, isReplay }) => `${isReplay ? "again" : "new"}: ${String(data)}`;
      default:
        return (message) => message.data;
    }
  }

  /** The class's `getSnapshot`, or `undefined` where the type keeps no state. */
  get getSnapshot(): (() => unknown) | undefined {
    switch (this.#type) {
      case "adding":
      case "solo":
      case "lively":
      case "crowd":
        return () => ({ ...this.#sum });
      case "forgetful":
        return () => this.#fail();
      case "hoarding":
        return () => this.#hoard;
      default:
        return undefined;
    }
  }

  onRestore(snapshot: unknown): void {
    if (this.#type === "forgetful") throw new Error("failed on purpose");
    if (this.#type === "hoarding") this.#hoard = snapshot as string;
    else this.#sum = snapshot as Sum;
  }

  async onStart(): Promise<void> {
    if (this.#type === "broken" || broken.has(this.#platform.id)) {
      throw new Error("broken on purpose");
    }
    await stuck.get(this.#platform.id)?.promise;
  }

  onConnect(client: Client, url: URL): void {
    if (url.searchParams.get("fail") === "1") throw new Error("refused on purpose");
    const greeting = url.searchParams.get("greeting");
    if (greeting !== null) client.send(greeting);
  }

  onMessage(message: string | ArrayBuffer | ArrayBufferView, sender: Client): void {
    const [word = "", ...rest] = typeof message === "string" ? message.split(" ") : [];
    switch (word) {
      case "where":
        sender.send(this.#platform.id);
        return;
      case "life":
        sender.send(this.#life);
        return;
      case "sum":
        sender.send(`${this.#sum.total} of ${this.#sum.count}`);
        return;
      case "hoard":
        // Whether it is what it should be, wherever it went.
        sender.send(`${this.#hoard.length} ${this.#hoard === hoardOf(this.#hoard.length)}`);
        return;
      case "who":
        sender.send(sender.id);
        return;
      case "room":
        sender.send(this.#platform.roomOf());
        return;
      case "player":
        sender.send(String(this.#platform.playerOf(sender)));
        return;
      case "publish":
        this.#publish(JSON.parse(rest.join(" ")) as readonly Told[], sender);
        return;
      case "clients":
        sender.send(
          Array.from(this.#platform.clients(), ({ id }) => id)
            .toSorted()
            .join(" "),
        );
        return;
      case "has":
        sender.send(String(this.#platform.hasClient(rest.join(" "))));
        return;
      case "tell":
        this.#platform.broadcast(rest.join(" "));
        return;
      case "go":
        this.#gate.resolve(undefined);
        this.#gate = Promise.withResolvers<undefined>();
        return;
      case "close":
        sender.close(Number(rest[0]), "as asked");
        return;
      case "throw":
        throw new Error("failed on purpose");
      case "stick":
        stuck.set(this.#platform.id, Promise.withResolvers<undefined>());
        this.#platform.reset();
        return;
      case "free":
        stuck.get(rest.join(" "))?.resolve(undefined);
        return;
      case "break":
        broken.add(this.#platform.id);
        this.#platform.reset();
        return;
      case "crash":
        this.#platform.reset();
        return;
      default:
        this.#platform.broadcast(message, [sender.id]);
    }
  }

  onClose(client: Client): void {
    if (quiet.has(this.#type)) return;
    const player = this.#platform.playerOf(client);
    this.#platform.broadcast(`left ${player ?? client.id}`, [client.id]);
  }

  /** A class of the PartyKit sharding example: a write arrives as a request. */
  async onRequest(request: {
    readonly method: string;
    readonly headers: { get(name: string): string | null };
    text(): Promise<string>;
  }): Promise<void> {
    const text = await request.text();
    if (text === "throw") throw new Error("failed on purpose");
    this.#platform.broadcast(`${request.method} ${request.headers.get("content-type")} ${text}`);
  }

  /** All at once; tells what became of each. */
  #publish(told: readonly Told[], sender: Client): void {
    const published = told.map(([data, options = {}]) => this.#platform.publish(data, options));
    void Promise.all(published).then((results) => sender.send(JSON.stringify(results)));
  }

  #add({ data, isReplay, isRestoring }: BroadcastMessage): Data {
    const { total, count } = this.#sum;
    if (isRestoring || !isReplay) this.#sum = { total: total + Number(data), count: count + 1 };
    return data;
  }

  #fail(): unknown {
    if (this.#failing === "throw") throw new Error("failed on purpose");
    if (this.#failing === "large") return "x".repeat(32 * 1024 * 1024);
    if (this.#failing === "never") return new Promise(() => {});
    return this.#failing === "function" ? () => 0 : { last: this.#failing };
  }

  #transform({ data, seq }: BroadcastMessage): Data | null {
    if (typeof data !== "string") return data.toReversed();
    return data.startsWith("secret") ? null : `${seq} ${data} ${this.#platform.id}`;
  }

  async #wait({ data }: BroadcastMessage): Promise<Data | null> {
    if (data === "wait") await this.#gate.promise;
    return data === "drop later" ? Promise.resolve(null) : data;
  }
}

/** A text in which no two lines are alike. */
function hoardOf(length: number): string {
  const lines = Array.from({ length: Math.ceil(length / 1024) }, (_, line) =>
    `${line} `.padEnd(1024, "é"),
  );
  return lines.join("").slice(0, length);
}

function fail({ data }: BroadcastMessage): Data | Promise<Data> {
  // As from a class without types.
  if (data === "nothing") return undefined as never;
  if (data === "throw") throw new Error("failed on purpose");
  if (data === "reject") return Promise.reject(new Error("failed on purpose, later"));
  return data;
}
