/** The demo's clients: real PartySockets, on which shard each is, and what each has heard. */
import { PartyClient } from "../../test/support/party-client.ts";

/** Clients that connect at a time. */
const connecting = 50;
const shardAnswer = "shard ";

export class AudienceMember {
  readonly #client: PartyClient;
  #shard: string;

  private constructor(client: PartyClient, shard: string) {
    this.#client = client;
    this.#shard = shard;
  }

  static async join(port: number, room: string): Promise<AudienceMember> {
    const client = await PartyClient.join(port, room);
    const member = new AudienceMember(client, "");
    await member.locate();
    return member;
  }

  /** The shard that this client's socket is on, as it was last asked. */
  get shard(): string {
    return this.#shard;
  }

  /** Whether its first socket is still open. */
  get hasStayed(): boolean {
    return this.#client.opens === 1;
  }

  /** Messages of the room, in the order of arrival, over all of its sockets. */
  get heard(): readonly string[] {
    return withoutAnswers(this.#client.messages);
  }

  /** The same, since its current socket has opened. */
  get heardSinceOpen(): readonly string[] {
    return withoutAnswers(this.#client.messagesSinceOpen);
  }

  /** Asks the shard for its name: the answer is the next frame that names one. */
  async locate(): Promise<void> {
    const known = this.#answers().length;
    this.#client.send("where");
    this.#shard = await this.#client.receivedMatching(() => this.#answers()[known]);
  }

  resetShard(): void {
    this.#client.send("reset");
  }

  /** Resolves once a socket after the first is open. */
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

export async function gather(
  size: number,
  port: number,
  room: string,
  onJoined: (joined: number) => void,
): Promise<AudienceMember[]> {
  const members: AudienceMember[] = [];
  while (members.length < size) {
    const some = Math.min(connecting, size - members.length);
    members.push(
      ...(await Promise.all(Array.from({ length: some }, () => AudienceMember.join(port, room)))),
    );
    onJoined(members.length);
  }
  return members;
}

function withoutAnswers(messages: readonly string[]): string[] {
  return messages.filter((text) => !text.startsWith(shardAnswer));
}
