/**
 * A client of protocol 1 as the rules see it: takes the frames that its socket was sent, keeps its
 * position, and throws on what a shard must never send.
 */
import { parseServerFrame, type ServerFrame } from "../../src/protocol/client.ts";
import type { ClientRequest } from "../../src/protocol/client-request.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { Payload } from "../../src/protocol/payload.ts";
import { FakeSocket } from "./fake-socket.ts";

/** Units that a shard may send unacknowledged, before a last frame, when its clients are few (`PR7`). */
const fewUnits = 1024 * 1024;
const unitsPerMessage = 64;
/** Payload units of a frame that holds more than one message. */
const frameUnits = 16 * 1024;

type Unacknowledged = {
  readonly through: number;
  readonly units: number;
  readonly messages: number;
};

export class ModelClient {
  readonly socket = new FakeSocket();
  /** The connection's name, and what it asked for. */
  readonly name: string;
  readonly request: ClientRequest;
  position = 0;
  epoch = "";
  recovered: boolean | null = null;
  /** Every message so far as `number payload`; bytes by their base64. */
  readonly received: string[] = [];
  readonly volatile: string[] = [];
  /** Frames that belong to no stream. */
  readonly others: ServerFrame[] = [];
  readonly pongs: string[] = [];
  #outstanding: Unacknowledged[] = [];
  #taken = 0;
  readonly #windowUnits: number;

  constructor(name: string, request: ClientRequest, windowUnits = fewUnits) {
    this.#windowUnits = windowUnits;
    this.name = name;
    this.request = request;
  }

  /** Where the client is: what it asks for when it comes back. */
  get place(): Position {
    return { epoch: this.epoch, seq: this.position };
  }

  /** Takes what was sent since the last call. */
  take(): void {
    const { sent } = this.socket;
    while (this.#taken < sent.length) {
      const text = sent[this.#taken];
      this.#taken += 1;
      if (text === "pong") this.pongs.push(text);
      else if (typeof text === "string") this.#frame(text);
      else throw new Error("a frame of bytes");
    }
  }

  /** The client forgets what it has not acknowledged; so does a shard that slept. */
  forgetWindow(): void {
    this.#outstanding = [];
  }

  acknowledged(seq: number): void {
    this.#outstanding = this.#outstanding.filter(({ through }) => through > seq);
  }

  #frame(text: string): void {
    const parsed = parseServerFrame(text);
    if (!parsed.ok) throw new Error(`${parsed.detail}: ${text.slice(0, 200)}`);
    const frame = parsed.value;
    switch (frame.type) {
      case "welcome":
        this.epoch = frame.epoch;
        this.position = frame.seq;
        this.recovered = frame.recovered;
        return;
      case "messages":
        this.#messages(frame, text.length);
        return;
      case "volatile":
        for (const data of frame.data) this.volatile.push(show(data));
        return;
      case "reset":
        this.epoch = frame.epoch;
        this.position = frame.seq;
        this.others.push(frame);
        this.forgetWindow();
        return;
      case "local":
      case "published":
      case "rejected":
      case "redirect":
        this.others.push(frame);
    }
  }

  #messages(frame: Extract<ServerFrame, { type: "messages" }>, units: number): void {
    const { after, through, data, seq } = frame;
    if (after > this.position) throw new Error(`gap: after ${after}, but at ${this.position}`);
    if (through < this.position) throw new Error(`back to ${through} from ${this.position}`);
    this.#window(frame, units);
    for (const [index, payload] of data.entries()) {
      const number = seq?.[index] ?? after + index + 1;
      if (number <= this.position) throw new Error(`message ${number} again`);
      if (number > through) throw new Error(`message ${number} past ${through}`);
      this.position = number;
      this.received.push(`${number} ${show(payload)}`);
    }
    this.position = through;
  }

  #window({ through, data }: { through: number; data: readonly Payload[] }, units: number): void {
    if (data.length === 0) return;
    const outstanding = this.#outstanding.reduce((sum, each) => sum + each.units, 0);
    const messages = this.#outstanding.reduce((sum, each) => sum + each.messages, 0);
    const isFull = outstanding >= this.#windowUnits;
    if (isFull || messages >= this.#windowUnits / unitsPerMessage) {
      throw new Error(`sent past its window: ${outstanding} units, ${messages} messages`);
    }
    const payloads = data.reduce((sum, payload) => sum + show(payload).length, 0);
    if (data.length > 1 && payloads > frameUnits) throw new Error(`a frame of ${payloads} units`);
    this.#outstanding.push({ through, units, messages: data.length });
  }
}

function show(payload: Payload): string {
  return typeof payload === "string" ? payload : payload.base64;
}
