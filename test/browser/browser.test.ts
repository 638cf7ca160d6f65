/**
 * Pages in a real Chromium, at a real `partykit dev`, over a network that breaks. The pages are of
 * another origin than the rooms, as an application's are.
 */
import type { Page } from "playwright-core";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Published, RoomSocketOptions } from "../../client/room-socket.ts";
import { TestRoom } from "../contract/test-room.ts";
import { partykitHost } from "../partykit/partykit-host.ts";
import { BreakableNetwork } from "../support/breakable-network.ts";
import { startChromium, type Chromium } from "../support/chromium.ts";
import { within, patienceMs } from "../support/deadline.ts";
import { startPartykitDev, type PartykitDev } from "../support/partykit-dev.ts";
import { temporaryDirectory } from "../support/temporary-directory.ts";
import { servePages, type PageServer } from "./page-server.ts";
import type { Tab } from "./pages/sockets.ts";

const storage = temporaryDirectory();
const host = partykitHost("the shipped app", undefined, () => running().server.port);
/** A socket's own pauses are for audiences; one tab comes back at once. */
const delays = { minReconnectionDelay: 50, maxReconnectionDelay: 500 };
const ndjson = { "content-type": "application/x-ndjson" };

declare global {
  interface Window {
    tab: Tab;
  }
}

type Running = {
  readonly server: PartykitDev;
  readonly pages: PageServer;
  readonly chromium: Chromium;
};
const stops: (() => Promise<void>)[] = [];
let started: Running | undefined;

beforeAll(async () => {
  const server = await startPartykitDev({ config: "partykit.json", persist: storage.path });
  stops.push(server.stop);
  const pages = await servePages();
  stops.push(pages.stop);
  const chromium = await startChromium();
  stops.push(chromium.stop);
  started = { server, pages, chromium };
});

afterAll(async () => {
  for (const stop of stops.toReversed()) await stop();
  storage.remove();
});

function running(): Running {
  if (started === undefined) throw new Error("nothing has started");
  return started;
}

async function layNetwork(): Promise<BreakableNetwork> {
  const network = await BreakableNetwork.lay(running().server.port);
  onTestFinished(() => network.close());
  return network;
}

/** A tab, as a browser that nobody has used before; what it throws fails the test. */
async function openPage(path: string): Promise<Page> {
  const { chromium, pages } = running();
  const context = await chromium.browser.newContext();
  context.setDefaultTimeout(patienceMs);
  const errors: Error[] = [];
  context.on("weberror", (webError) => errors.push(webError.error()));
  onTestFinished(async () => {
    await context.close();
    expect(errors).toEqual([]);
  });
  const page = await context.newPage();
  await page.goto(pages.origin + path);
  return page;
}

/** A tab with a `RoomSocket` that has been welcomed. */
async function join(
  port: number,
  room: TestRoom,
  options: Partial<RoomSocketOptions> = {},
): Promise<Page> {
  const page = await openPage("/sockets");
  const all = { host: `127.0.0.1:${port}`, room: room.id, ...delays, ...options };
  await page.evaluate((given) => window.tab.join(given), all);
  await happened(page, "open", 1);
  return page;
}

async function happened(page: Page, type: string, times: number): Promise<void> {
  await page.waitForFunction(([what, count]) => window.tab.count(what) >= count, [
    type,
    times,
  ] as const);
}

/** From within the page; the answers may be waited for later. */
function publish(page: Page, messages: readonly string[]): Promise<readonly Published[]> {
  const answers = page.evaluate((all) => window.tab.publish(all), messages);
  const publishing = within(answers, () => `no answers to ${messages.join(", ")}`);
  // A test that fails before it waits for them says why itself.
  publishing.catch(() => {});
  return publishing;
}

/** Everything that the tab has heard, once the last of them has come. */
async function heardThrough(page: Page, last: string): Promise<readonly string[]> {
  await page.waitForFunction((text) => window.tab.messages.includes(text), last);
  return page.evaluate(() => window.tab.messages);
}

function texts(prefix: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix} ${index + 1}`);
}

/** Writes all in batches of a hundred, from outside of the browser. */
async function publishAll(room: TestRoom, messages: readonly string[]): Promise<void> {
  for (let start = 0; start < messages.length; start += 100) {
    await room.publish(messages.slice(start, start + 100).join("\n"), { headers: ndjson });
  }
}

test("CL12, CL14, DL1 two tabs get what one of them publishes, in its order", async () => {
  const room = new TestRoom(host);
  const { port } = running().server;
  const first = await join(port, room);
  const second = await join(port, room);
  const messages = texts("hello", 30);
  const published = await publish(first, messages);
  expect(published.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
  await second.evaluate(() => window.tab.publishBytes([0, 255, 128]));
  const expected = [...messages, "bytes 0,255,128"];
  for (const page of [first, second]) {
    expect(await heardThrough(page, "bytes 0,255,128")).toEqual(expected);
    expect(await page.evaluate(() => window.tab.happenings)).toEqual(["open"]);
  }
});

test("PR2, CL2, CL3 a tab whose network was cut comes back and has everything once", async () => {
  const room = new TestRoom(host);
  const network = await layNetwork();
  const cut = await join(network.port, room);
  const other = await join(running().server.port, room);
  const before = texts("before", 10);
  const meanwhile = texts("meanwhile", 500);
  const after = texts("after", 10);
  await publishAll(room, before);
  expect(await heardThrough(cut, "before 10")).toEqual(before);
  network.cut();
  await happened(cut, "close", 1);
  await publishAll(room, meanwhile);
  // It has tried in vain.
  await happened(cut, "close", 2);
  expect(await cut.evaluate(() => window.tab.messages)).toEqual(before);
  network.mend();
  await happened(cut, "recovered", 1);
  await publishAll(room, after);
  const all = [...before, ...meanwhile, ...after];
  expect(await heardThrough(cut, "after 10")).toEqual(all);
  expect(await heardThrough(other, "after 10")).toEqual(all);
  const position = await cut.evaluate(() => window.tab.position);
  expect(position).toEqual(await other.evaluate(() => window.tab.position));
  expect(position?.seq).toBe(all.length);
  expect(await cut.evaluate(() => window.tab.count("open"))).toBe(2);
  expect(await cut.evaluate(() => window.tab.count("recovered"))).toBe(1);
  expect(await cut.evaluate(() => window.tab.count("reset"))).toBe(0);
  expect(await other.evaluate(() => window.tab.happenings)).toEqual(["open"]);
});

test("CL5, CL3 a tab notices a network that has gone silent, and misses and repeats nothing", async () => {
  const room = new TestRoom(host);
  const network = await layNetwork();
  const patience = { pingIntervalMs: 300, pingTimeoutMs: 300, connectionTimeout: 600 };
  const tab = await join(network.port, room, patience);
  await publishAll(room, ["before"]);
  await heardThrough(tab, "before");
  network.silence();
  // Some of it waits in the old connection, which lives again with the network.
  const meanwhile = texts("meanwhile", 200);
  await publishAll(room, meanwhile);
  await happened(tab, "close", 2);
  network.mend();
  await happened(tab, "recovered", 1);
  await publishAll(room, ["after"]);
  expect(await heardThrough(tab, "after")).toEqual(["before", ...meanwhile, "after"]);
  expect(await tab.evaluate(() => window.tab.count("reset"))).toBe(0);
});

test("CL10, CL11, CL12 what a tab publishes without a network arrives with it, once", async () => {
  const room = new TestRoom(host);
  const network = await layNetwork();
  const tab = await join(network.port, room);
  network.cut();
  await happened(tab, "close", 1);
  const messages = texts("offline", 20);
  const publishing = publish(tab, messages);
  await happened(tab, "close", 3);
  network.mend();
  const published = await publishing;
  expect(published.map(({ seq }) => seq)).toEqual(messages.map((_, index) => index + 1));
  expect(await heardThrough(tab, "offline 20")).toEqual(messages);
});

test("CL10, DL4 a publish whose answers were lost on the way has one effect", async () => {
  const room = new TestRoom(host);
  const network = await layNetwork();
  const tab = await join(network.port, room);
  const watcher = await room.join();
  // The first one brings the answer to the browser's preflight, which it keeps.
  await publish(tab, ["first"]);
  network.mute();
  const publishing = publish(tab, ["second"]);
  await watcher.receivedThrough("second");
  await happened(tab, "close", 2);
  network.mend();
  expect(await publishing).toMatchObject([{ seq: 2 }]);
  await publish(tab, ["third"]);
  expect(await heardThrough(tab, "third")).toEqual(["first", "second", "third"]);
  expect(await watcher.receivedThrough("third")).toEqual(["first", "second", "third"]);
});

test("CL2, PR2 a page that is loaded again goes on from the position it kept", async () => {
  const room = new TestRoom(host);
  const { port } = running().server;
  const tab = await join(port, room);
  await publishAll(room, ["before"]);
  await heardThrough(tab, "before");
  const position = await tab.evaluate(() => window.tab.position);
  if (position === null) throw new Error("no position");
  await tab.reload();
  const meanwhile = texts("meanwhile", 20);
  await publishAll(room, meanwhile);
  const options = { host: `127.0.0.1:${port}`, room: room.id, position };
  await tab.evaluate((given) => window.tab.join(given), options);
  expect(await heardThrough(tab, "meanwhile 20")).toEqual(meanwhile);
  expect(await tab.evaluate(() => window.tab.happenings)).toEqual(["open", "recovered"]);
});

test("RC1, DL3 a plain PartySocket in a page gets payloads in order, also after a cut", async () => {
  const room = new TestRoom(host);
  const network = await layNetwork();
  const tab = await openPage("/sockets");
  const options = {
    host: `127.0.0.1:${network.port}`,
    party: "router",
    room: room.id,
    ...delays,
  };
  await tab.evaluate((given) => window.tab.joinPlainly(given), options);
  await happened(tab, "open", 1);
  const before = texts("before", 20);
  await publishAll(room, before);
  expect(await heardThrough(tab, "before 20")).toEqual(before);
  network.cut();
  await happened(tab, "close", 1);
  network.mend();
  await happened(tab, "open", 2);
  const after = texts("after", 20);
  await publishAll(room, after);
  expect(await heardThrough(tab, "after 20")).toEqual([...before, ...after]);
});

test("CL17, CL2 useRoom renders its room's messages and status, through a cut and a move", async () => {
  const room = new TestRoom(host);
  const next = new TestRoom(host);
  const network = await layNetwork();
  const query = { host: `127.0.0.1:${network.port}`, room: room.id, next: next.id };
  const page = await openPage(`/use-room?${new URLSearchParams(query).toString()}`);
  const shown = (selector: string, text: string): Promise<unknown> =>
    page.waitForSelector(`${selector}:text-is("${text}")`, { state: "attached" });
  const items = (): Promise<readonly string[]> => page.locator("#messages li").allTextContents();

  await shown("#status", `${room.id} open`);
  await publishAll(room, ["one", "two"]);
  await shown("li", "two");
  network.cut();
  await shown("#status", `${room.id} waiting`);
  await publishAll(room, texts("meanwhile", 20));
  network.mend();
  await shown("#status", `${room.id} open`);
  await shown("#recoveries", "1");
  await publishAll(room, ["three"]);
  await shown("li", "three");
  const all = ["one", "two", ...texts("meanwhile", 20), "three"];
  expect(await items()).toEqual(all);

  await page.click("#move");
  await shown("#status", `${next.id} open`);
  await publishAll(room, ["not for who left"]);
  await publishAll(next, ["four"]);
  await shown("li", "four");
  expect(await items()).toEqual([...all, "four"]);

  await page.click("#leave");
  await page.waitForSelector("#status", { state: "detached" });
  network.cut();
});
