/**
 * An unmodified PartySocket and all that happened to it: opened, heard, closed, in one order. Comes
 * back by itself when its socket closes, as PartySocket does.
 */
import { PartySocket } from "partysocket";
import { Recording } from "./recording.ts";

type Happening =
  | { readonly type: "open" }
  | { readonly type: "message"; readonly data: string }
  | { readonly type: "close"; readonly code: number };

/** PartySocket's own delays are seconds, so that many clients do not come back at once. */
const delays = { minReconnectionDelay: 50, maxReconnectionDelay: 500 };

export class PartyClient {
  readonly #socket: PartySocket;
  readonly #happenings = new Recording<Happening>((each) => JSON.stringify(each));

  private constructor(socket: PartySocket) {
    this.#socket = socket;
    socket.addEventListener("open", () => this.#happenings.add({ type: "open" }));
    socket.addEventListener("close", ({ code }) => this.#happenings.add({ type: "close", code }));
    socket.addEventListener("message", ({ data }) => {
      this.#happenings.add({ type: "message", data: String(data) });
    });
  }

  /** `WebSocket` is the class to use in place of Node's own. */
  static async join(port: number, room: string, WebSocket?: unknown): Promise<PartyClient> {
    const own = WebSocket === undefined ? {} : { WebSocket };
    const host = `127.0.0.1:${port}`;
    const client = new PartyClient(
      new PartySocket({ host, party: "router", room, ...delays, ...own }),
    );
    await client.opened(1);
    return client;
  }

  get id(): string {
    return this.#socket.id;
  }

  /** Messages of all its sockets. */
  get messages(): readonly string[] {
    return this.#happenings.items.flatMap((each) => (each.type === "message" ? [each.data] : []));
  }

  /** Messages since its current socket opened. */
  get messagesSinceOpen(): readonly string[] {
    const opened = this.#happenings.items.findLastIndex((each) => each.type === "open");
    const since = this.#happenings.items.slice(opened);
    return since.flatMap((each) => (each.type === "message" ? [each.data] : []));
  }

  /** How many of its sockets have opened. */
  get opens(): number {
    return this.#happenings.items.filter((each) => each.type === "open").length;
  }

  async opened(times: number): Promise<void> {
    await this.#happenings.until(() => this.opens >= times, `socket number ${times}`);
  }

  async receivedThrough(text: string): Promise<readonly string[]> {
    await this.#happenings.until(() => this.messages.includes(text), JSON.stringify(text));
    return this.messages;
  }

  send(text: string): void {
    this.#socket.send(text);
  }

  /** Resolves with what `find` finds in its messages, once it finds something. */
  async receivedMatching(find: () => string | undefined): Promise<string> {
    await this.#happenings.until(() => find() !== undefined, "a message that matches");
    return find() ?? "";
  }

  /** The answer to a question: sends it and waits for the next message. */
  ask(question: string): Promise<string> {
    const { length } = this.messages;
    this.#socket.send(question);
    return this.receivedMatching(() => this.messages[length]);
  }

  /** Ends it for good. */
  close(): void {
    this.#socket.close();
  }
}
