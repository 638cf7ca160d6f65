/**
 * Owns asking the registry that bench/registry serves: its own HTTP API, and what only the benchmark
 * asks.
 */
import { HttpLane, type Reply } from "./http-lane.ts";

/** How many rooms one request enters. */
const fillStep = 1_000;

export class RegistryLane {
  readonly #http: HttpLane;

  constructor(port: number) {
    this.#http = new HttpLane(port);
  }

  /** Calls that have reached the registry, by their type. */
  async calls(): Promise<ReadonlyMap<string, number>> {
    const { body } = await expectOk(this.#http.get("/bench/calls"));
    const counts = JSON.parse(body) as Record<string, number>;
    return new Map(Object.entries(counts));
  }

  /** Has rooms `from` to `to` - 1 entered in the directory. */
  async fill(from: number, to: number): Promise<void> {
    for (let next = from; next < to; next += fillStep) {
      const count = Math.min(fillStep, to - next);
      const { body } = await expectOk(this.#http.get(`/bench/fill?from=${next}&count=${count}`));
      if (Number(body) !== count) {
        throw new Error(`of ${count} rooms from ${next} on ${body} were entered`);
      }
    }
  }

  /** Writes a row in an object that does nothing else, new if the name is. */
  async writeObject(name: string): Promise<void> {
    await expectOk(this.#http.get(`/bench/object?name=${name}`));
  }

  /** The body of `GET rooms` with this query. */
  async rooms(query: string): Promise<string> {
    const path = `/parties/registry/default/rooms?${query}`;
    return (await expectOk(this.#http.get(path))).body;
  }

  /** The body of `POST reserve`. */
  async reserve(body: object): Promise<string> {
    const path = "/parties/registry/default/reserve";
    return (await expectOk(this.#http.post(path, "application/json", JSON.stringify(body)))).body;
  }

  close(): void {
    this.#http.close();
  }
}

async function expectOk(request: Promise<Reply>): Promise<Reply> {
  const reply = await request;
  if (reply.status !== 200) {
    throw new Error(`the server answered ${reply.status}: ${reply.body.slice(0, 300)}`);
  }
  return reply;
}
