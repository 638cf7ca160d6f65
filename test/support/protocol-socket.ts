/**
 * A client's end of a socket that speaks protocol 1: keeps every frame, and checks as they come that
 * the messages follow on each other. Knows nothing of where the socket comes from.
 */
import {
  encodeClientFrame,
  parseServerFrame,
  type ClientFrame,
  type ServerFrame,
} from "../../src/protocol/client.ts";
import type { Payload } from "../../src/protocol/payload.ts";
import type { Closing, RecordedSocket } from "./recorded-socket.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;
/** A logged message as the client got it. */
export type Received = readonly [seq: number, data: Payload];

export class ProtocolSocket {
  readonly #socket: RecordedSocket;
  readonly #frames: ServerFrame[] = [];
  readonly #messages: Received[] = [];
  #read = 0;
  #pongs = 0;
  #epoch = "";
  #position: number | null = null;
  #barriers = 0;

  constructor(socket: RecordedSocket) {
    this.#socket = socket;
  }

  /** Every frame so far but `pong`. */
  get frames(): readonly ServerFrame[] {
    this.#readNew();
    return this.#frames;
  }

  /** The logged messages so far. */
  get messages(): readonly Received[] {
    this.#readNew();
    return this.#messages;
  }

  get position(): number {
    this.#readNew();
    return this.#position ?? -1;
  }

  /** The query with which another socket resumes where this one is. */
  get resume(): string {
    this.#readNew();
    return `epoch=${this.#epoch}&since=${this.position}`;
  }

  /** UTF-16 units of the frames of messages so far. */
  get units(): number {
    const texts = this.#socket.frames.filter((frame) => typeof frame === "string");
    return texts
      .filter((text) => text.startsWith('{"type":"messages"'))
      .reduce((sum, text) => sum + text.length, 0);
  }

  send(frame: ClientFrame): void {
    this.#socket.send(encodeClientFrame(frame));
  }

  /** Sends what need not be a frame. */
  sendRaw(data: string | Uint8Array<ArrayBuffer>): void {
    this.#socket.send(data);
  }

  /** Acknowledges everything. */
  ack(): void {
    this.send({ type: "ack", seq: this.position });
  }

  subscribe(...topics: string[]): void {
    this.send({ type: "subscribe", topics });
  }

  close(): void {
    this.#socket.close();
  }

  closed(ms?: number): Promise<Closing> {
    return this.#socket.closed(ms);
  }

  async welcome(): Promise<FrameOf<"welcome">> {
    const [first] = await this.received(1);
    if (first?.type !== "welcome") throw new Error(`${first?.type ?? "nothing"} came first`);
    return first;
  }

  /** All frames, once there are at least so many. */
  async received(count: number): Promise<readonly ServerFrame[]> {
    await this.#until(() => this.frames.length >= count);
    return this.frames;
  }

  /** The logged messages, once they reach up to number `seq`. */
  async messagesThrough(seq: number): Promise<readonly Received[]> {
    await this.#until(() => this.position >= seq);
    return this.messages;
  }

  /** As `messagesThrough`, for a client that acknowledges whatever it gets. */
  async takeThrough(seq: number): Promise<readonly Received[]> {
    let acknowledged = 0;
    await this.#until(() => {
      if (this.position > acknowledged) {
        acknowledged = this.position;
        this.ack();
      }
      return this.position >= seq;
    });
    return this.messages;
  }

  /** The first frame of this type that `isWanted` holds for, once it has come. */
  async receivedOf<Type extends ServerFrame["type"]>(
    type: Type,
    isWanted: (frame: FrameOf<Type>) => boolean = () => true,
  ): Promise<FrameOf<Type>> {
    const isOf = (frame: ServerFrame): frame is FrameOf<Type> => frame.type === type;
    let found: FrameOf<Type> | undefined;
    await this.#until(() => {
      found = this.frames.filter(isOf).find(isWanted);
      return found !== undefined;
    });
    if (found === undefined) throw new Error(`no ${type} came`);
    return found;
  }

  /** The answer to a publish over the socket. */
  async publish(
    id: string,
    data: Payload,
    topic?: string,
  ): Promise<FrameOf<"published"> | FrameOf<"rejected">> {
    const before = this.frames.length;
    this.send({ type: "publish", id, data, ...(topic === undefined ? {} : { topic }) });
    const find = () =>
      this.frames
        .slice(before)
        .filter((frame) => frame.type === "published" || frame.type === "rejected")
        .find((frame) => frame.id === id);
    await this.#until(() => find() !== undefined);
    const answer = find();
    if (answer === undefined) throw new Error(`no answer to ${id} came`);
    return answer;
  }

  /** Says something to the room class, and waits for what it answers. */
  async ask(question: Payload): Promise<Payload> {
    const { length } = this.frames.filter((frame) => frame.type === "local");
    this.send({ type: "send", data: question });
    const answers = () => this.frames.filter((frame) => frame.type === "local").slice(length);
    await this.#until(() => answers().length > 0);
    return answers()[0]?.data ?? "";
  }

  /**
   * Resolves when the shard has taken all that was sent before, and whatever it had to say to that has
   * come. Not by `ping`, which the platform may answer: by a frame that is refused where clients may
   * not publish, which is most types of rooms.
   */
  async settled(): Promise<void> {
    this.#barriers += 1;
    const id = `barrier ${this.#barriers}`;
    const { type } = await this.publish(id, "");
    check(type === "rejected", "a publish was to be refused, and was taken");
  }

  /** Sends `ping`, and waits for one more `pong`. */
  async pong(): Promise<void> {
    this.#readNew();
    const before = this.#pongs;
    this.sendRaw("ping");
    await this.#until(() => this.#pongs > before);
  }

  /** Looks again after every frame; each wait for one has the deadline. */
  async #until(isOver: () => boolean): Promise<void> {
    for (;;) {
      this.#readNew();
      if (isOver()) return;
      await this.#socket.received(this.#read + 1);
    }
  }

  #readNew(): void {
    while (this.#read < this.#socket.frames.length) {
      const frame = this.#socket.frames[this.#read];
      this.#read += 1;
      if (frame === "pong") this.#pongs += 1;
      else this.#take(parse(frame));
    }
  }

  #take(frame: ServerFrame): void {
    this.#frames.push(frame);
    if (this.#frames.length === 1) check(frame.type === "welcome", `${frame.type} came first`);
    if (frame.type === "welcome" || frame.type === "reset") {
      this.#epoch = frame.epoch;
      this.#position = frame.seq;
    }
    if (frame.type === "messages") this.#takeMessages(frame);
  }

  /** No gap, no repeat, no number out of place. */
  #takeMessages({ after, through, data, seq }: FrameOf<"messages">): void {
    const position = this.#position ?? 0;
    const place = `at ${position} came a frame after ${after} through ${through}`;
    check(after <= position && through > position, place);
    const numbers = seq ?? data.map((_, index) => after + index + 1);
    check(numbers.length === data.length, `${place} of ${data.length} entries`);
    check(seq !== undefined || data.length === through - after, `${place} that lacks some`);
    let last = position;
    for (const [index, payload] of data.entries()) {
      const number = numbers[index] ?? 0;
      check(number > last && number <= through, `${place} with message ${number} after ${last}`);
      last = number;
      this.#messages.push([number, payload]);
    }
    this.#position = through;
  }
}

/** The frame, with nothing in it that the protocol does not know. */
function parse(text: string | Uint8Array | undefined): ServerFrame {
  if (typeof text !== "string") throw new Error("frames of protocol 1 are text");
  const parsed = parseServerFrame(text);
  if (!parsed.ok) throw new Error(`${parsed.detail}: ${text.slice(0, 200)}`);
  // Whatever the protocol does not know, the parser leaves out.
  const known = JSON.stringify(parsed.value).length;
  check(known === JSON.stringify(JSON.parse(text)).length, `more than a frame: ${text}`);
  return parsed.value;
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
