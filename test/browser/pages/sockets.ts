/** A page that holds one socket and all that happened to it, for the test to look at and wait for. */
import { PartySocket, type PartySocketOptions } from "partysocket";
import {
  RoomSocket,
  type OutgoingData,
  type Position,
  type Published,
  type RoomSocketOptions,
} from "../../../client/room-socket.ts";

export class Tab {
  /** Text as it is, bytes as `bytes 1,2,3`. */
  readonly messages: string[] = [];
  /** Everything but messages, by its type. */
  readonly happenings: string[] = [];
  #socket: RoomSocket | undefined;

  /** With a `RoomSocket`. */
  join(options: RoomSocketOptions): void {
    const socket = new RoomSocket(options);
    this.#socket = socket;
    for (const type of ["open", "close", "recovered", "reset"]) {
      socket.addEventListener(type, () => this.happenings.push(type));
    }
    socket.addEventListener("message", ({ data }) => this.#hear(data));
  }

  /** With a `PartySocket`. */
  joinPlainly(options: PartySocketOptions): void {
    const socket = new PartySocket(options);
    socket.addEventListener("open", () => this.happenings.push("open"));
    socket.addEventListener("close", () => this.happenings.push("close"));
    socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => this.#hear(data));
  }

  get position(): Position | null {
    return this.#joined().position;
  }

  get status(): string {
    return this.#joined().status;
  }

  /** How often something has happened. */
  count(type: string): number {
    return this.happenings.filter((each) => each === type).length;
  }

  /** Publishes all, one after the other as the application sees it. */
  publish(messages: readonly OutgoingData[]): Promise<Published[]> {
    const socket = this.#joined();
    return Promise.all(messages.map((each) => socket.publish(each)));
  }

  publishBytes(bytes: readonly number[]): Promise<Published[]> {
    return this.publish([new Uint8Array(bytes)]);
  }

  #joined(): RoomSocket {
    if (this.#socket === undefined) throw new Error("not joined");
    return this.#socket;
  }

  #hear(data: unknown): void {
    const bytes = data instanceof ArrayBuffer ? [...new Uint8Array(data)].join(",") : undefined;
    this.messages.push(bytes === undefined ? String(data) : `bytes ${bytes}`);
  }
}

Object.assign(window, { tab: new Tab() });
