/**
 * The demo's clients, half of them plain PartySockets and half RoomSockets, which resume: on which shard
 * each is, and what each has heard.
 */
import { RoomSocket } from "../../client/room-socket.ts";
import { PartyClient } from "../../test/support/party-client.ts";
import { Recording } from "../../test/support/recording.ts";

/** Clients that connect at a time. */
const connecting = 50;
const shardAnswer = "shard ";
/** A RoomSocket's own delays are seconds, so that many clients do not come back at once. */
const delays = { minReconnectionDelay: 50, maxReconnectionDelay: 500 };

export type AudienceMember = {
  /** Whether it goes on where it was when it comes back. */
  readonly isResuming: boolean;
  /** The shard that this client's socket is on, as was last known. */
  readonly shard: string;
  /** Whether its first socket is still open. */
  readonly hasStayed: boolean;
  /** Messages of the room, in the order of arrival, over all of its sockets. */
  readonly heard: readonly string[];
  /** The same, since its current socket has opened. */
  readonly heardSinceOpen: readonly string[];
  /** Makes sure that `shard` is right. */
  readonly locate: () => Promise<void>;
  /** Ends the object that its socket is on, for good. */
  readonly killShard: () => void;
  /** Resolves once a socket after the first is open. */
  readonly cameBack: () => Promise<void>;
  readonly heardThrough: (text: string) => Promise<void>;
  readonly leave: () => void;
};

class PlainMember implements AudienceMember {
  readonly isResuming = false;
  readonly #client: PartyClient;
  #shard = "";

  constructor(client: PartyClient) {
    this.#client = client;
  }

  get shard(): string {
    return this.#shard;
  }

  get hasStayed(): boolean {
    return this.#client.opens === 1;
  }

  get heard(): readonly string[] {
    return withoutAnswers(this.#client.messages);
  }

  get heardSinceOpen(): readonly string[] {
    return withoutAnswers(this.#client.messagesSinceOpen);
  }

  /** Asks the shard for its name: the answer is the next frame that names one. */
  async locate(): Promise<void> {
    const known = this.#answers().length;
    this.#client.send("where");
    this.#shard = await this.#client.receivedMatching(() => this.#answers()[known]);
  }

  killShard(): void {
    this.#client.send("kill");
  }

  cameBack(): Promise<void> {
    return this.#client.opened(2);
  }

  async heardThrough(text: string): Promise<void> {
    await this.#client.receivedThrough(text);
  }

  leave(): void {
    this.#client.close();
  }

  #answers(): string[] {
    return this.#client.messages
      .filter((text) => text.startsWith(shardAnswer))
      .map((text) => text.slice(shardAnswer.length));
  }
}

class ResumingMember implements AudienceMember {
  readonly isResuming = true;
  readonly #socket: RoomSocket;
  readonly #messages = new Recording<string>((text) => text);
  readonly #opens = new Recording<number>(String);

  constructor(port: number, room: string) {
    this.#socket = new RoomSocket({ host: `127.0.0.1:${port}`, room, ...delays });
    this.#socket.addEventListener("open", () => this.#opens.add(this.#messages.items.length));
    this.#socket.addEventListener("message", ({ data }) => this.#messages.add(String(data)));
  }

  opened(times: number): Promise<void> {
    return this.#opens.until(() => this.#opens.items.length >= times, `socket number ${times}`);
  }

  get shard(): string {
    return this.#socket.shard ?? "";
  }

  get hasStayed(): boolean {
    return this.#opens.items.length === 1;
  }

  get heard(): readonly string[] {
    return this.#messages.items;
  }

  get heardSinceOpen(): readonly string[] {
    return this.#messages.items.slice(this.#opens.items.at(-1));
  }

  /** The welcome named it. */
  locate(): Promise<void> {
    return Promise.resolve();
  }

  killShard(): void {
    this.#socket.send("kill");
  }

  cameBack(): Promise<void> {
    return this.opened(2);
  }

  heardThrough(text: string): Promise<void> {
    return this.#messages.until(() => this.heard.includes(text), JSON.stringify(text));
  }

  leave(): void {
    this.#socket.close();
  }
}

export async function gather(
  size: number,
  port: number,
  room: string,
  onJoined: (joined: number) => void,
): Promise<AudienceMember[]> {
  const members: AudienceMember[] = [];
  while (members.length < size) {
    const some = Math.min(connecting, size - members.length);
    const joining = Array.from({ length: some }, (_, index) =>
      index % 2 === 0 ? joinPlain(port, room) : joinResuming(port, room),
    );
    members.push(...(await Promise.all(joining)));
    onJoined(members.length);
  }
  return members;
}

async function joinPlain(port: number, room: string): Promise<AudienceMember> {
  const member = new PlainMember(await PartyClient.join(port, room));
  await member.locate();
  return member;
}

async function joinResuming(port: number, room: string): Promise<AudienceMember> {
  const member = new ResumingMember(port, room);
  await member.opened(1);
  return member;
}

function withoutAnswers(messages: readonly string[]): string[] {
  return messages.filter((text) => !text.startsWith(shardAnswer));
}
