/**
 * The demo: 500 clients in one room of ten shards, 200 messages with eight in flight, and a shard that is
 * killed for good half-way: from then on every call to it fails. Shows how it is found dead, what takes
 * its place, and how long that takes. Ends with status 1 when a client that stayed connected, or one
 * that resumes, has lost a message, heard one twice or out of order, or when a plain one that came back
 * misses what followed.
 */
import { randomBytes } from "node:crypto";
import * as v from "valibot";
import { startPartykitDev } from "../test/support/partykit-dev.ts";
import { temporaryDirectory } from "../test/support/temporary-directory.ts";
import { gather, type AudienceMember } from "./demo/audience.ts";
import { publish, publishAll } from "./demo/publish.ts";
import { Reassignment } from "./demo/reassignment.ts";
import { progressBar, table } from "./demo/screen.ts";
import { faults } from "./demo/verdict.ts";

const clients = 500;
const messages = 200;
const inFlight = 8;
/** Clients that come when all is over, so many at a time, until the fresh shard has one of them. */
const latecomers = 10;
const mostLatecomers = 500;
const room = "wide:demo";
const end = "the end";
const adminToken = randomBytes(24).toString("base64url");

const statusSchema = v.object({
  shards: v.array(
    v.object({
      id: v.string(),
      generation: v.number(),
      connections: v.number(),
      acked: v.number(),
    }),
  ),
});

type Outcome = {
  readonly audience: readonly AudienceMember[];
  /** Who was on the shard that was killed. */
  readonly victims: readonly AudienceMember[];
  /** Who came once the shard was replaced. */
  readonly late: readonly AudienceMember[];
  /** All that was published, in the room's order. */
  readonly order: readonly string[];
  readonly replacement: string;
};

async function run(port: number): Promise<string[]> {
  const url = `http://127.0.0.1:${port}/parties/router/${room}`;
  const reassignment = await Reassignment.follow(port, adminToken);
  const audience = await gather(clients, port, room, progressBar("connecting", clients));
  const [first] = audience;
  if (first === undefined) throw new Error("there is no audience");
  const killed = first.shard;
  const victims = audience.filter((member) => member.shard === killed);

  const show = progressBar("publishing", messages);
  const texts = Array.from({ length: messages }, (_, index) => `message ${index + 1}`);
  const order = await publishAll(url, texts, inFlight, (published) => {
    if (published === messages / 2) {
      reassignment.begin();
      first.killShard();
    }
    show(published);
  });
  const replacement = await reassignment.replacementOf(killed);
  const showBack = progressBar("coming back", victims.length);
  await countAll(victims, (member) => member.cameBack(), showBack);
  const backMs = reassignment.msSinceKill();
  const late = await gatherUntilServed(port, replacement);
  const all = [...audience, ...late];
  await publish(`${url}?wait=delivered`, end);
  order.push(end);
  const showHeard = progressBar("delivering", all.length);
  await countAll(all, (member) => member.heardThrough(end), showHeard);
  await Promise.all(victims.map((member) => member.locate()));

  const outcome = { audience, victims, late, order, replacement };
  await printShards(url, outcome);
  const rows = [["every client back", `${backMs} ms`, `${victims.length} of ${killed}`]];
  console.log(`${table(["", "after the kill", ""], [...reassignment.rows(), ...rows])}\n`);
  printSummary(outcome);
  reassignment.end();
  for (const member of all) member.leave();
  return verify(outcome);
}

async function countAll(
  members: readonly AudienceMember[],
  until: (member: AudienceMember) => Promise<void>,
  show: (done: number) => void,
): Promise<void> {
  let done = 0;
  await Promise.all(
    members.map(async (member) => {
      await until(member);
      done += 1;
      show(done);
    }),
  );
}

/** A gate may know the former layout for a second more. */
async function gatherUntilServed(port: number, replacement: string): Promise<AudienceMember[]> {
  const late: AudienceMember[] = [];
  while (!late.some(({ shard }) => shard === replacement) && late.length < mostLatecomers) {
    late.push(...(await gather(latecomers, port, room, () => {})));
  }
  return late;
}

async function printShards(url: string, { audience, late, replacement }: Outcome): Promise<void> {
  const response = await fetch(url);
  const { shards } = v.parse(statusSchema, await response.json());
  const rows = shards.map(({ id, generation, connections, acked }) => {
    const object = generation === 1 ? id : `${id}~${generation}`;
    const here = [...audience, ...late].filter((member) => member.shard === object);
    const delivered = here.reduce((sum, member) => sum + member.heard.length, 0);
    const note = object === replacement ? `${object}, in place of the killed one` : "";
    return [id, String(generation), String(connections), String(delivered), String(acked), note];
  });
  const heads = ["shard", "generation", "sockets", "delivered", "acknowledged", ""];
  console.log(`\n${table(heads, rows)}\n`);
}

function printSummary({ audience, victims, late, order }: Outcome): void {
  const stayed = audience.length - victims.length;
  const resuming = victims.filter(({ isResuming }) => isResuming).length;
  const plain = victims.length - resuming;
  console.log(`${stayed} clients stayed connected and were owed ${order.length} messages each.`);
  console.log(`${victims.length} were on the shard that died, and came back by the router:`);
  console.log(`${resuming} RoomSockets were owed all ${order.length} as well,`);
  console.log(`${plain} PartySockets what came before, and what followed once they were back.`);
  console.log(`${late.length} more came then, and heard what followed.`);
}

/** A sentence for every client that something is wrong with. */
function verify({ audience, victims, late, order, replacement }: Outcome): string[] {
  const found = [...audience, ...late].flatMap((member, index) => {
    const isVictim = victims.includes(member);
    const isLate = late.includes(member);
    const wrong =
      isLate || (isVictim && !member.isResuming)
        ? faultsOfPart(member, order)
        : faults(member.heard, order);
    if (!isVictim && !member.hasStayed) wrong.push("its socket was lost");
    return wrong.length === 0 ? [] : [`client ${index + 1}: ${wrong.join(", ")}`];
  });
  const isServing = late.some(({ shard }) => shard === replacement);
  return isServing ? found : [...found, `${replacement} serves nobody`];
}

/** Who does not resume is owed all that came before the kill, if it was there, and all since it is back. */
function faultsOfPart(member: AudienceMember, order: readonly string[]): string[] {
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
  variables: { PARTYSHARD_ADMIN_TOKEN: adminToken },
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
