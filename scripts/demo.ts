/**
 * The demo: 500 clients in one room of ten shards, 200 messages with eight in flight, and a shard
 * that is reset half-way. Ends with status 1 when a client that stayed connected has lost a message,
 * heard one twice or out of order, or when one that came back misses what followed.
 */
import * as v from "valibot";
import { startPartykitDev } from "../test/support/partykit-dev.ts";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { gather, type AudienceMember } from "./demo/audience.ts";
import { publish, publishAll } from "./demo/publish.ts";
import { progressBar, table } from "./demo/screen.ts";
import { faults } from "./demo/verdict.ts";

const clients = 500;
const messages = 200;
const inFlight = 8;
const room = "wide:demo";
const end = "the end";

const statusSchema = v.object({
  shards: v.array(v.object({ id: v.string(), connections: v.number(), acked: v.number() })),
});

async function run(port: number): Promise<string[]> {
  const url = `http://127.0.0.1:${port}/parties/router/${room}`;
  const audience = await gather(clients, port, room, progressBar("connecting", clients));
  const [first] = audience;
  if (first === undefined) throw new Error("there is no audience");
  const shardOfReset = first.shard;
  const victims = audience.filter((member) => member.shard === shardOfReset);

  const show = progressBar("publishing", messages);
  const texts = Array.from({ length: messages }, (_, index) => `message ${index + 1}`);
  const order = await publishAll(url, texts, inFlight, (published) => {
    if (published === messages / 2) first.resetShard();
    show(published);
  });
  await Promise.all(victims.map((member) => member.cameBack()));
  await publish(`${url}?wait=delivered`, end);
  order.push(end);

  const showHeard = progressBar("delivering", clients);
  let heard = 0;
  await Promise.all(
    audience.map(async (member) => {
      await member.heardThrough(end);
      heard += 1;
      showHeard(heard);
    }),
  );
  await Promise.all(victims.map((member) => member.locate()));
  await printShards(url, audience, shardOfReset);
  for (const member of audience) member.leave();
  const stayed = audience.length - victims.length;
  console.log(`${stayed} clients stayed connected and were owed ${order.length} messages each.`);
  console.log(`${victims.length} were on the shard that was reset, and came back by the router.`);
  return verify(audience, victims, order);
}

async function printShards(
  url: string,
  audience: readonly AudienceMember[],
  shardOfReset: string,
): Promise<void> {
  const response = await fetch(url);
  const { shards } = v.parse(statusSchema, await response.json());
  const rows = shards.map(({ id, connections, acked }) => {
    const here = audience.filter((member) => member.shard === id);
    const delivered = here.reduce((sum, member) => sum + member.heard.length, 0);
    const note = id === shardOfReset ? "reset half-way" : "";
    return [id, String(connections), String(delivered), String(acked), note];
  });
  console.log(`\n${table(["shard", "sockets", "delivered", "acknowledged", ""], rows)}\n`);
}

/** A sentence for every client that something is wrong with. */
function verify(
  audience: readonly AudienceMember[],
  victims: readonly AudienceMember[],
  order: readonly string[],
): string[] {
  return audience.flatMap((member, index) => {
    const wrong = victims.includes(member)
      ? faultsOfVictim(member, order)
      : faults(member.heard, order);
    if (!victims.includes(member) && !member.hasStayed) wrong.push("its socket was lost");
    return wrong.length === 0 ? [] : [`client ${index + 1}: ${wrong.join(", ")}`];
  });
}

/** A client without resuming is owed all that came before the reset, and all since it is back. */
function faultsOfVictim(member: AudienceMember, order: readonly string[]): string[] {
  const after = member.heardSinceOpen;
  const before = member.heard.slice(0, member.heard.length - after.length);
  return [
    ...faults(before, order.slice(0, before.length)),
    ...faults(after, order.slice(order.length - after.length)),
  ];
}

const storage = temporaryDirectory();
const server = await startPartykitDev({
  config: "examples/demo/partykit.json",
  persist: storage.path,
});
const interrupt = (): void => {
  void server.stop().finally(() => process.exit(130));
};
process.on("SIGINT", interrupt);
process.on("SIGTERM", interrupt);
try {
  const found = await run(server.port);
  for (const fault of found) console.error(fault);
  if (found.length > 0) process.exitCode = 1;
  else console.log("Nothing was lost, repeated or out of order.");
} finally {
  await server.stop();
  storage.remove();
}
