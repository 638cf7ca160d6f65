/** A real `partykit dev` for the tests of one file, and game servers outside as processes of their own. */
import { afterAll, beforeAll, onTestFinished } from "vitest";
import { RegistryClient, type RegistryEvent } from "../../src/host/node/index.ts";
import { ExampleProcess } from "./example-process.ts";
import { startPartykitDev, type PartykitDev } from "./partykit-dev.ts";
import { Recording } from "./recording.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

type Variables = Readonly<Record<string, string>>;

export class OutsideDeployment {
  readonly token = "an-admin-token-for-tests";
  readonly secret = "a-test-secret-of-thirty-two-bytes-or-more";
  #dev: PartykitDev | undefined;

  /** Runs from before the file's first test until after its last. */
  constructor() {
    const storage = temporaryDirectory();
    beforeAll(async () => {
      this.#dev = await startPartykitDev({
        config: "test/support/apps/partykit/partykit.json",
        persist: storage.path,
        variables: { PARTYSHARD_ADMIN_TOKEN: this.token, PARTYSHARD_SECRET: this.secret },
      });
    });
    afterAll(async () => {
      await this.#dev?.stop();
      storage.remove();
    });
  }

  get host(): string {
    if (this.#dev === undefined) throw new Error("the deployment has not started");
    return `127.0.0.1:${this.#dev.port}`;
  }

  get url(): string {
    return `http://${this.host}`;
  }

  get client(): RegistryClient {
    return new RegistryClient({ url: this.url, token: this.token });
  }

  /** One of the examples, for rooms of the type `outside`. */
  example(script: string, more: Variables = {}, args: readonly string[] = []): ExampleProcess {
    const all = {
      ROUTER: this.url,
      PARTYSHARD_ADMIN_TOKEN: this.token,
      PARTYSHARD_SECRET: this.secret,
      ROOM_TYPE: "outside",
      MAX_PLAYERS: "2",
      SEAT_TTL_MS: "1000",
    };
    return new ExampleProcess(script, { ...all, ...more }, args);
  }

  /** A game server that has registered. Its rooms count what was said in them. */
  async startServer(id: string, more: Variables = {}) {
    const process = this.example("distributed-rooms/server.ts", { SERVER_ID: id, ...more });
    return { id, process, url: await process.printed(/is ready at (.+)$/) };
  }

  /** The registry's events from now on. */
  async listen(pattern = "*"): Promise<Recording<RegistryEvent>> {
    const heard = new Recording<RegistryEvent>((event) => JSON.stringify(event));
    const events = this.client.events(pattern);
    onTestFinished(() => events.close());
    void (async () => {
      for await (const event of events) heard.add(event);
    })();
    if (!(await events.subscribed)) throw new Error("no events");
    return heard;
  }
}
