import { expect, test } from "vitest";
import { encodeServerFrame, protocolVersion, type ServerFrame } from "../src/protocol/client.ts";
import { closeCodes } from "../src/protocol/close-codes.ts";
import type { Payload } from "../src/protocol/payload.ts";
import {
  initialState,
  wakeAt,
  type ConnectionEvent,
  type ConnectionState,
  type Effect,
  type Phase,
  type Step,
} from "./connection-state.ts";
import { step } from "./connection.ts";
import { defaultSettings, settingsFrom, type Settings } from "./settings.ts";

const start: ConnectionEvent = { type: "start", code: 1000, reason: "" };
const opened: ConnectionEvent = { type: "opened" };
const tick: ConnectionEvent = { type: "tick" };
const lost: ConnectionEvent = { type: "closed", code: 1006, reason: "" };
const welcome = {
  type: "welcome",
  protocol: 1,
  connection: "c",
  shard: "room-1",
  epoch: "e",
  seq: 5,
  recovered: false,
} as const;

function received(frame: ServerFrame): ConnectionEvent {
  return { type: "received", data: encodeServerFrame(frame) };
}

/** A connection in a test's hands: it stands at a time, and keeps what was to be done. */
class Rig {
  state: ConnectionState;
  now = 1_000_000;
  random = 0.5;
  effects: readonly Effect[] = [];

  constructor(settings: Partial<Settings> = {}) {
    this.state = deepFreeze(initialState({ ...defaultSettings, ...settings }, [], null));
  }

  /** The effects of the last event are the result. */
  take(...events: readonly ConnectionEvent[]): readonly Effect[] {
    for (const event of events) {
      const result: Step = step(this.state, event, { now: this.now, random: this.random });
      this.state = deepFreeze(result.state);
      this.effects = result.effects;
    }
    return this.effects;
  }

  /** Welcomed at position 5 of epoch e. */
  open(): this {
    this.take(start, opened, received(welcome));
    return this;
  }

  /** To the time of the next tick, and that tick. */
  wait(): readonly Effect[] {
    const at = wakeAt(this.state);
    if (at === Infinity) throw new Error("nothing is to come");
    this.now = Math.max(this.now, at);
    return this.take(tick);
  }

  get phase(): Phase {
    return this.state.link.phase;
  }

  get delivered(): unknown[] {
    return this.effects.flatMap((effect) => (effect.type === "deliver" ? [effect.data] : []));
  }

  get transmitted(): unknown[] {
    return this.effects.flatMap((effect): unknown[] => {
      if (effect.type !== "transmit") return [];
      return [effect.text === "ping" ? "ping" : (JSON.parse(effect.text) as unknown)];
    });
  }
}

function deepFreeze<Value>(value: Value): Value {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(deepFreeze);
  }
  return value;
}

function messages(after: number, ...data: readonly string[]): ServerFrame {
  return { type: "messages", after, through: after + data.length, data: [...data] };
}

const roads: Record<Phase, readonly ConnectionEvent[]> = {
  idle: [],
  connecting: [start],
  greeting: [start, opened],
  open: [start, opened, received(welcome)],
  waiting: [start, opened, received(welcome), lost],
  stopped: [start, { type: "stop", code: 1000, reason: "" }],
};
const phases = Object.keys(roads) as Phase[];

type Row = readonly [next: Phase, ...effects: Effect["type"][]];
type Table<Key extends string> = Record<Key, Record<Phase, Row>>;
const same: Record<Phase, Row> = {
  idle: ["idle"],
  connecting: ["connecting"],
  greeting: ["greeting"],
  open: ["open"],
  waiting: ["waiting"],
  stopped: ["stopped"],
};

/** The whole table: every event in every phase. Publishing goes over the socket. */
const events: Record<ConnectionEvent["type"], ConnectionEvent> = {
  start,
  stop: { type: "stop", code: 1000, reason: "" },
  subscribe: { type: "subscribe", topics: ["a"] },
  publish: { type: "publish", id: "i", number: 1, data: "x" },
  send: { type: "send", data: "x" },
  opened,
  closed: lost,
  received: received(messages(5, "six")),
  answered: { type: "answered", id: "unknown", answer: { ok: false } },
  tick,
};
const left = ["disconnect", "closed"] as const;
const table: Table<ConnectionEvent["type"]> = {
  start: {
    idle: ["connecting", "connect"],
    connecting: ["connecting", ...left, "connect"],
    greeting: ["connecting", ...left, "connect"],
    open: ["connecting", ...left, "connect"],
    waiting: ["connecting", "connect"],
    stopped: ["connecting", "connect"],
  },
  stop: {
    idle: ["stopped"],
    connecting: ["stopped", ...left],
    greeting: ["stopped", ...left],
    open: ["stopped", ...left],
    waiting: ["stopped"],
    stopped: ["stopped"],
  },
  subscribe: { ...same, open: ["open", "transmit"] },
  publish: { ...same, open: ["open", "transmit"], stopped: ["stopped", "settle"] },
  send: { ...same, open: ["open", "transmit"] },
  opened: { ...same, connecting: ["greeting", "transmit"] },
  closed: {
    ...same,
    connecting: ["waiting", "closed"],
    greeting: ["waiting", "closed"],
    open: ["waiting", "closed"],
  },
  received: { ...same, greeting: ["waiting", ...left], open: ["open", "deliver"] },
  answered: same,
  tick: {
    ...same,
    connecting: ["waiting", ...left],
    greeting: ["waiting", ...left],
    open: ["open", "transmit"],
    waiting: ["connecting", "connect"],
  },
};

const cells = phases.flatMap((phase) =>
  Object.entries(table).map(([type, rows]) => ({ phase, type, row: rows[phase] })),
);

test.each(cells)("CL1 $type while $phase", ({ phase, type, row }) => {
  const rig = new Rig({ publish: "socket" });
  rig.take(...roads[phase]);
  expect(rig.phase).toBe(phase);
  if (type === "tick") rig.now = Math.min(wakeAt(rig.state), rig.now + 1e9);
  rig.take(events[type as ConnectionEvent["type"]]);
  expect([rig.phase, ...rig.effects.map((effect) => effect.type)]).toEqual(row);
});

test.each(phases)("CL1 a tick before its time does nothing while %s", (phase) => {
  const rig = new Rig();
  rig.take(...roads[phase]);
  const before = rig.state;
  rig.now = Math.min(wakeAt(before), rig.now + 1_000) - 1;
  expect(rig.take(tick)).toEqual([]);
  expect(rig.state).toEqual(before);
});

const problem = { type: "urn:x", title: "t", status: 400, detail: "d" };
const frames: Record<ServerFrame["type"] | "none", ConnectionEvent> = {
  welcome: received(welcome),
  messages: received(messages(5, "six")),
  volatile: received({ type: "volatile", data: ["v"] }),
  reset: received({ type: "reset", epoch: "f", seq: 1, reason: "restored" }),
  local: received({ type: "local", data: "l" }),
  published: received({ type: "published", id: "unknown", seq: 1 }),
  rejected: received({ type: "rejected", id: "unknown", problem }),
  redirect: received({ type: "redirect", url: "wss://other/parties/router/room" }),
  none: { type: "received", data: "{" },
};
const frameTable: Record<keyof typeof frames, Record<"greeting" | "open", Row>> = {
  welcome: { greeting: ["open", "tell"], open: ["waiting", ...left] },
  messages: { greeting: ["waiting", ...left], open: ["open", "deliver"] },
  volatile: { greeting: ["waiting", ...left], open: ["open", "deliver"] },
  reset: { greeting: ["waiting", ...left], open: ["open", "tell"] },
  local: { greeting: ["waiting", ...left], open: ["open", "deliver"] },
  published: { greeting: ["waiting", ...left], open: ["open"] },
  rejected: { greeting: ["waiting", ...left], open: ["open"] },
  redirect: { greeting: ["waiting", ...left], open: ["waiting", ...left] },
  none: { greeting: ["waiting", ...left], open: ["waiting", ...left] },
};
const frameCells = Object.entries(frameTable).flatMap(([type, rows]) =>
  phases.map((phase) => {
    const row = phase === "greeting" || phase === "open" ? rows[phase] : same[phase];
    return { type, phase, row };
  }),
);

test.each(frameCells)("CL1, CL4 frame $type while $phase", ({ type, phase, row }) => {
  const rig = new Rig();
  rig.take(...roads[phase]);
  rig.take(frames[type as keyof typeof frames]);
  expect([rig.phase, ...rig.effects.map((effect) => effect.type)]).toEqual(row);
});

test.each([...Object.values(closeCodes), 1001, 1006, 1011, 1012, 4499, 4999])(
  "CL7 closed with %i the client stops when it is 4500 to 4999, and else comes back",
  (code) => {
    for (const phase of ["connecting", "greeting", "open"] as const) {
      const rig = new Rig();
      rig.take(...roads[phase], { type: "publish", id: "i", number: 1, data: "x" });
      rig.take({ type: "closed", code, reason: "r" });
      expect(rig.effects[0]).toEqual({ type: "closed", code, reason: "r" });
      const stops = code >= 4500 && code <= 4999;
      expect(rig.phase).toBe(stops ? "stopped" : "waiting");
      const settled = rig.effects.filter((effect) => effect.type === "settle");
      expect(settled).toHaveLength(stops ? 1 : 0);
    }
  },
);

test("CL2 the first connection asks for protocol 1, and takes the position that it is given", () => {
  const rig = new Rig();
  expect(rig.take(start)).toMatchObject([{ type: "connect", address: null }]);
  expect(rig.effects[0]).toHaveProperty("query", { protocol: String(protocolVersion) });
  rig.take(opened);
  expect(rig.take(received(welcome))).toEqual([{ type: "tell", what: "open" }]);
  expect(rig.state.position).toEqual({ epoch: "e", seq: 5 });
});

test("CL2 after a break the client asks to go on where it is, and tells that it did", () => {
  const rig = new Rig().open();
  rig.take(received(messages(5, "six", "seven")), lost);
  expect(rig.wait()).toMatchObject([
    { type: "connect", query: { protocol: "1", epoch: "e", since: "7" } },
  ]);
  rig.take(opened, received({ ...welcome, shard: "room-2", seq: 7, recovered: true }));
  const position = { epoch: "e", seq: 7 };
  expect(rig.effects[1]).toEqual({ type: "tell", what: "recovered", detail: { position } });
  rig.take(received(messages(7, "eight")));
  expect(rig.delivered).toEqual(["eight"]);
});

test.each([
  ["the room cannot", { ...welcome, seq: 9 }],
  ["the epoch is another", { ...welcome, epoch: "f", recovered: true }],
  ["the shard names a later place", { ...welcome, seq: 9, recovered: true }],
])("CL2 when %s, the application is told by reset", (_, frame) => {
  const rig = new Rig().open();
  rig.take(lost);
  rig.wait();
  rig.take(opened, received(frame));
  const position = { epoch: frame.epoch, seq: frame.seq };
  const detail = { previous: { epoch: "e", seq: 5 }, position, reason: "not-recovered" };
  expect(rig.effects[1]).toEqual({ type: "tell", what: "reset", detail });
  expect(rig.state.position).toEqual(position);
});

test("CL2 a position that the application kept is where a new socket goes on", () => {
  const state = initialState(defaultSettings, [], { epoch: "e", seq: 3 });
  const { effects } = step(state, start, { now: 0, random: 0 });
  expect(effects).toMatchObject([{ query: { epoch: "e", since: "3" } }]);
});

test("CL3 repeats are dropped, whole frames and parts of them", () => {
  const rig = new Rig().open();
  rig.take(received(messages(3, "four", "five")));
  rig.take(received(messages(1, "two", "three")));
  expect(rig.delivered).toEqual([]);
  expect(rig.state.position).toEqual({ epoch: "e", seq: 5 });
  rig.take(received(messages(3, "four", "five", "six")));
  expect(rig.delivered).toEqual(["six"]);
  rig.take(received({ type: "messages", after: 4, through: 9, data: ["a", "b"], seq: [6, 8] }));
  expect(rig.effects).toEqual([
    { type: "deliver", data: "b", position: { epoch: "e", seq: 8 }, isLocal: false },
  ]);
  expect(rig.state.position).toEqual({ epoch: "e", seq: 9 });
});

test("CL3 what the client's topics leave out moves its position", () => {
  const rig = new Rig().open();
  rig.take(received({ type: "messages", after: 5, through: 90, data: [], seq: [] }));
  expect(rig.delivered).toEqual([]);
  expect(rig.state.position).toEqual({ epoch: "e", seq: 90 });
});

test("CL4 a gap ends the connection; the client comes back for what it lacks", () => {
  const rig = new Rig().open();
  expect(rig.take(received(messages(6, "seven")))).toMatchObject([
    { type: "disconnect", code: 1000 },
    { type: "closed", code: 1000 },
  ]);
  expect(rig.wait()).toMatchObject([{ type: "connect", query: { epoch: "e", since: "5" } }]);
});

test("CL5 30 s of silence bring a ping, 10 s more the end; any frame ends the wait", () => {
  const rig = new Rig().open();
  rig.now += 29_999;
  expect(rig.take(tick)).toEqual([]);
  rig.now += 1;
  expect(rig.take(tick)).toEqual([{ type: "transmit", text: "ping" }]);
  rig.now += 9_999;
  expect(rig.take(tick)).toEqual([]);
  rig.take({ type: "received", data: "pong" });
  expect(wakeAt(rig.state)).toBe(rig.now + 30_000);
  rig.wait();
  expect(rig.transmitted).toEqual(["ping"]);
  rig.take(received({ type: "local", data: "x" }));
  expect(wakeAt(rig.state)).toBe(rig.now + 30_000);
  rig.wait();
  expect(rig.transmitted).toEqual(["ping"]);
  rig.wait();
  expect(rig.phase).toBe("waiting");
  expect(rig.effects.map((effect) => effect.type)).toEqual(["disconnect", "closed"]);
});

test("CL5 a connection that traffic keeps alive is not pinged", () => {
  const rig = new Rig().open();
  for (let seq = 5; seq < 50; seq += 1) {
    rig.now += 20_000;
    rig.take(tick);
    expect(rig.effects).toEqual([]);
    rig.take(received(messages(seq, "x")));
  }
});

test("CL5 no welcome within 10 s is a failure", () => {
  const rig = new Rig();
  rig.take(start, opened);
  expect(wakeAt(rig.state)).toBe(rig.now + 10_000);
  rig.wait();
  expect(rig.phase).toBe("waiting");
});

test("CL6 pauses grow with failures in a row, and a connection that stays ends the row", () => {
  const rig = new Rig();
  rig.take(start);
  const pauses = Array.from({ length: 7 }, () => {
    rig.take(lost);
    const pause = wakeAt(rig.state) - rig.now;
    rig.wait();
    return pause;
  });
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]);
  rig.take(opened, received(welcome));
  rig.now += 4_999;
  rig.take(lost);
  expect(rig.state.failures).toBe(8);
  rig.wait();
  rig.take(opened, received(welcome));
  rig.now += 5_000;
  rig.take(lost);
  expect(rig.state.failures).toBe(1);
  expect(wakeAt(rig.state) - rig.now).toBe(500);
});

test("CL6 after maxRetries the client stops", () => {
  const rig = new Rig({ maxRetries: 1 });
  rig.take(start, lost);
  rig.wait();
  rig.take({ type: "publish", id: "i", number: 1, data: "x" });
  expect(rig.take(lost)).toMatchObject([{ type: "closed" }, { type: "settle", id: "i" }]);
  expect(rig.phase).toBe("stopped");
  expect(wakeAt(rig.state)).toBe(Infinity);
});

const url = "wss://other/parties/router/room?ticket=t";

test("CL8 a redirect is followed at once the first time, and with the position", () => {
  const rig = new Rig().open();
  rig.now += 10_000;
  rig.take(received({ type: "redirect", url }));
  expect(wakeAt(rig.state)).toBe(rig.now);
  expect(rig.wait()).toMatchObject([{ type: "connect", address: url, query: { since: "5" } }]);
  rig.take(opened, received({ type: "redirect", url: `${url}2` }));
  expect(wakeAt(rig.state)).toBe(rig.now + 1_000);
  expect(rig.wait()).toMatchObject([{ type: "connect", address: `${url}2` }]);
});

test("CL8 later connections go there too, until three in a row have failed", () => {
  const rig = new Rig().open();
  rig.now += 10_000;
  rig.take(received({ type: "redirect", url }));
  rig.wait();
  rig.take(opened, received(welcome));
  rig.now += 10_000;
  const addresses = [1, 2, 3].map(() => {
    rig.take(lost);
    return (rig.wait()[0] as Effect & { type: "connect" }).address;
  });
  expect(addresses).toEqual([url, url, null]);
});

test("CL8 failures before a redirect do not count against its address", () => {
  const rig = new Rig();
  rig.take(start);
  for (let failures = 0; failures < 4; failures += 1) {
    rig.take(lost);
    rig.wait();
  }
  rig.take(opened, received({ type: "redirect", url }));
  const addresses = [1, 2, 3, 4].map(() => {
    const { address } = rig.wait()[0] as Effect & { type: "connect" };
    rig.take(lost);
    return address;
  });
  expect(addresses).toEqual([url, url, url, null]);
});

test("CL21 where the router leads the client goes at once, however often it had failed", () => {
  const rig = new Rig();
  rig.take(start);
  for (let failures = 0; failures < 9; failures += 1) {
    rig.take(lost);
    rig.wait();
  }
  rig.take(opened, received({ type: "redirect", url }));
  expect(wakeAt(rig.state)).toBe(rig.now);
});

test("CL21 a server that a redirect gave sends its clients back to the router with 4000", () => {
  const rig = new Rig().open();
  rig.take(received({ type: "redirect", url }));
  rig.wait();
  rig.take(opened, received(welcome), { ...lost, code: 4001 });
  expect(rig.wait()).toMatchObject([{ address: url }]);
  rig.take(opened, received(welcome), { ...lost, code: 4000 });
  expect(rig.wait()).toMatchObject([{ address: null }]);
});

test("CL8 a redirect past maxRetries stops", () => {
  const rig = new Rig({ maxRetries: 0 }).open();
  rig.take(received({ type: "redirect", url }));
  expect(rig.phase).toBe("stopped");
  expect(wakeAt(rig.state)).toBe(Infinity);
});

test("CL9 the client acknowledges after 128 messages, once they are handed over", () => {
  const rig = new Rig().open();
  for (let seq = 5; seq < 132; seq += 1) rig.take(received(messages(seq, "x")));
  expect(rig.transmitted).toEqual([]);
  rig.take(received(messages(132, "x")));
  expect(rig.effects.map((effect) => effect.type)).toEqual(["deliver", "transmit"]);
  expect(rig.transmitted).toEqual([{ type: "ack", seq: 133 }]);
  rig.take(received(messages(133, "x")));
  expect(rig.transmitted).toEqual([]);
});

test("CL9 the client acknowledges after 16 Ki units of frames", () => {
  const rig = new Rig().open();
  rig.take(received(messages(5, "x".repeat(16_000))));
  expect(rig.transmitted).toEqual([]);
  rig.take(received({ type: "volatile", data: ["x".repeat(400)] }));
  expect(rig.transmitted).toEqual([{ type: "ack", seq: 6 }]);
});

test("CL9 a client whose topics leave nearly everything out acknowledges all the same", () => {
  const rig = new Rig().open();
  rig.take(received({ type: "messages", after: 5, through: 500, data: [], seq: [] }));
  expect(rig.transmitted).toEqual([{ type: "ack", seq: 500 }]);
});

let handedOver = 0;
const publish = (id: string, data: Payload = "x"): ConnectionEvent => {
  handedOver += 1;
  return { type: "publish", id, number: handedOver, data };
};

test("CL10 over the socket a publish without an answer is sent again, with the same id", () => {
  const rig = new Rig({ publish: "socket" }).open();
  rig.take(publish("a"));
  const frame = { type: "publish", id: "a", data: "x" };
  expect(rig.transmitted).toEqual([frame]);
  rig.take(publish("b"), lost);
  rig.wait();
  rig.take(opened, received({ ...welcome, recovered: true }));
  expect(rig.transmitted).toEqual([frame, { ...frame, id: "b" }]);
  rig.take(received({ type: "published", id: "a", seq: 6 }));
  expect(rig.effects).toEqual([
    { type: "settle", id: "a", outcome: { ok: true, value: { seq: 6 } } },
  ]);
  expect(rig.take(received({ type: "published", id: "a", seq: 6 }))).toEqual([]);
});

test("CL10 a refusal that is final rejects with its problem", () => {
  const rig = new Rig({ publish: "socket" }).open();
  rig.take(publish("a"), received({ type: "rejected", id: "a", problem }));
  const outcome = { ok: false, code: "rejected", problem };
  expect(rig.effects).toEqual([{ type: "settle", id: "a", outcome }]);
});

test.each([429, 500, 502, 503])(
  "CL10 after a refusal with %i the publish is repeated",
  (status) => {
    const rig = new Rig({ publish: "socket" }).open();
    rig.take(
      publish("a"),
      received({ type: "rejected", id: "a", problem: { ...problem, status } }),
    );
    expect(rig.effects).toEqual([]);
    expect(wakeAt(rig.state)).toBe(rig.now + 500);
    rig.wait();
    expect(rig.transmitted).toEqual([{ type: "publish", id: "a", data: "x" }]);
  },
);

test("CL10 over HTTP Retry-After is honoured, with a random pause on top that grows", () => {
  const rig = new Rig().open();
  rig.take(publish("a"));
  const pauses = [1, 2, 3].map(() => {
    rig.take({ type: "answered", id: "a", answer: { ok: false, retryAfterMs: 3_000 } });
    const pause = wakeAt(rig.state) - rig.now;
    expect(rig.wait()).toEqual([{ type: "post", id: "a", data: "x", topic: undefined }]);
    return pause;
  });
  expect(pauses).toEqual([3_500, 4_000, 5_000]);
});

test("CL10 a publish is given up four minutes after it first left, with the last problem", () => {
  const rig = new Rig().open();
  rig.take(publish("a"));
  const until = rig.now + 240_000;
  const answer = { ok: false, problem: { ...problem, status: 503 } } as const;
  while (rig.state.publishes.length > 0) {
    rig.take({ type: "answered", id: "a", answer });
    rig.wait();
    // The connection lives on.
    rig.take({ type: "received", data: "pong" }, tick);
  }
  expect(rig.now).toBe(until);
  expect(rig.take({ type: "answered", id: "a", answer })).toEqual([]);
});

test("CL10 what never left is not given up, however long the client is away", () => {
  const rig = new Rig();
  rig.take(publish("a"), start);
  rig.now += 3_600_000;
  rig.take(tick, { type: "stop", code: 1000, reason: "" });
  expect(rig.effects).toEqual([
    { type: "settle", id: "a", outcome: { ok: false, code: "closed", problem: undefined } },
  ]);
});

test("CL20 the first that leaves on every connection is a ping", () => {
  const rig = new Rig({ publish: "socket" });
  rig.take(publish("a"), start);
  expect(rig.transmitted).toEqual([]);
  for (const attempt of [1, 2]) {
    rig.take(opened);
    expect(rig.transmitted, `attempt ${attempt}`).toEqual(["ping"]);
    expect(rig.take(opened)).toEqual([]);
    rig.take({ type: "received", data: "pong" }, received(welcome), lost);
    rig.wait();
    expect(rig.phase).toBe("connecting");
  }
});

test("CL11 what is handed over while there is no connection waits for it", () => {
  const rig = new Rig({ publish: "socket" });
  rig.take(start, publish("a"), { type: "send", data: "s" }, publish("b"), opened);
  expect(rig.transmitted).toEqual(["ping"]);
  rig.take(received(welcome));
  expect(rig.transmitted).toEqual([
    { type: "send", data: "s" },
    { type: "publish", id: "a", data: "x" },
    { type: "publish", id: "b", data: "x" },
  ]);
  expect(rig.state.sends).toEqual([]);
});

test("CL11 the buffer is bounded by count: what does not fit is refused", () => {
  const rig = new Rig({ maxEnqueuedMessages: 3 });
  rig.take(publish("a"), { type: "send", data: "s" }, publish("b"));
  expect(rig.take(publish("c"))).toEqual([
    { type: "settle", id: "c", outcome: { ok: false, code: "buffer-full" } },
  ]);
  rig.take({ type: "send", data: "t" });
  expect(rig.state.sends).toHaveLength(1);
});

test("CL11 the buffer is bounded by bytes, of text in UTF-8 and of bytes themselves", () => {
  const rig = new Rig({ maxEnqueuedBytes: 10 });
  rig.take(publish("a", "ääää"), publish("b", { base64: "AAAA" }));
  expect(rig.effects).toMatchObject([{ type: "settle", id: "b" }]);
  rig.take(publish("c", "xx"));
  expect(rig.effects).toEqual([]);
  expect(rig.take(publish("d", "x"))).toMatchObject([{ outcome: { code: "buffer-full" } }]);
});

test("CL11 what has its answer makes room", () => {
  const rig = new Rig({ maxEnqueuedMessages: 1, publish: "socket" }).open();
  rig.take(publish("a"), received({ type: "published", id: "a", seq: 6 }), publish("b"));
  expect(rig.transmitted).toMatchObject([{ id: "b" }]);
});

test("CL12 over HTTP one publish is under way at a time, in order", () => {
  const rig = new Rig().open();
  expect(rig.take(publish("a"))).toMatchObject([{ type: "post", id: "a" }]);
  expect(rig.take(publish("b"), publish("c"))).toEqual([]);
  const answer = { ok: true, value: { epoch: "e", seq: 6 } } as const;
  rig.take({ type: "answered", id: "a", answer });
  expect(rig.effects).toMatchObject([
    { type: "settle", id: "a" },
    { type: "post", id: "b" },
  ]);
  // A break of the socket does not send it again: its answer may still come.
  rig.take(lost);
  rig.wait();
  rig.take(opened);
  expect(rig.take(received(welcome)).filter((effect) => effect.type === "post")).toEqual([]);
  rig.take({ type: "answered", id: "b", answer });
  expect(rig.effects).toMatchObject([
    { type: "settle", id: "b" },
    { type: "post", id: "c" },
  ]);
});

test("CL13 topics are asked for at connect, and told when they change", () => {
  const rig = new Rig();
  rig.take({ type: "subscribe", topics: ["a", "b:*"] });
  expect(rig.take(start)).toMatchObject([{ query: { topics: "a,b:*" } }]);
  rig.take(opened);
  expect(rig.take(received(welcome))).toEqual([{ type: "tell", what: "open" }]);
  rig.take({ type: "subscribe", topics: ["c"] });
  expect(rig.transmitted).toEqual([{ type: "subscribe", topics: ["c"] }]);
  rig.take(lost);
  expect(rig.wait()).toMatchObject([{ query: { topics: "c" } }]);
});

test("CL13 topics that change on the way are told after the welcome", () => {
  const rig = new Rig();
  rig.take(start, opened, { type: "subscribe", topics: ["a"] }, received(welcome));
  expect(rig.transmitted).toEqual([{ type: "subscribe", topics: ["a"] }]);
});

test("CL15 volatile and local messages have no number and move no position", () => {
  const rig = new Rig().open();
  rig.take(received({ type: "volatile", data: ["v", { base64: "AAAA" }] }));
  expect(rig.delivered).toEqual(["v", { base64: "AAAA" }]);
  rig.take(received({ type: "local", data: "l" }));
  expect(rig.effects).toEqual([{ type: "deliver", data: "l", position: null, isLocal: true }]);
  expect(rig.state.position).toEqual({ epoch: "e", seq: 5 });
});

test("CL10 over the socket a publish without an answer is repeated while the connection lives, ever later", () => {
  const rig = new Rig({ publish: "socket", pingIntervalMs: Infinity }).open();
  rig.take(publish("a"));
  const first = rig.now;
  const times = Array.from({ length: 6 }, () => {
    expect(rig.wait()).toEqual([
      { type: "transmit", text: '{"type":"publish","id":"a","data":"x"}' },
    ]);
    return rig.now - first;
  });
  expect(times).toEqual([10_500, 21_500, 33_500, 47_500, 65_500, 90_500]);
  rig.take(received({ type: "published", id: "a", seq: 6 }));
  expect(rig.effects).toMatchObject([{ type: "settle", id: "a", outcome: { ok: true } }]);
  expect(wakeAt(rig.state)).toBe(Infinity);
});

test("CL10 a publish that is repeated in vain is given up in time", () => {
  const rig = new Rig({ publish: "socket", pingIntervalMs: Infinity }).open();
  rig.take(publish("a"));
  const until = rig.now + 240_000;
  while (rig.state.publishes.length > 0) rig.wait();
  expect([rig.now, rig.effects]).toEqual([
    until,
    [{ type: "settle", id: "a", outcome: { ok: false, code: "unanswered", problem: undefined } }],
  ]);
});

test("CL10 over the socket a publish leaves when all that are 64 or more before it have answers", () => {
  const rig = new Rig({ publish: "socket" }).open();
  const ids = Array.from({ length: 70 }, (_, index) => `i${index}`);
  const gone = ids.flatMap((id) => {
    rig.take(publish(id));
    return rig.transmitted;
  });
  expect(gone).toHaveLength(64);
  // Answers to the others let nothing out past the one that waits for its repeat.
  const busy = { ...problem, status: 503 };
  rig.take(received({ type: "rejected", id: "i0", problem: busy }));
  for (const id of ids.slice(1, 64)) rig.take(received({ type: "published", id, seq: 9 }));
  expect(rig.transmitted).toEqual([]);
  rig.wait();
  expect(rig.transmitted).toMatchObject([{ id: "i0" }]);
  rig.take(received({ type: "published", id: "i0", seq: 99 }));
  expect(rig.transmitted).toMatchObject(ids.slice(64).map((id) => ({ id })));
});

test("CL18 the session of the last welcome is what the client comes back with", () => {
  const rig = new Rig();
  expect(rig.take(start)[0]).not.toHaveProperty("query.ticket");
  rig.take(opened, received({ ...welcome, session: "s1" }), lost);
  expect(rig.wait()).toMatchObject([{ query: { session: "s1" } }]);
  rig.take(opened, received({ ...welcome, recovered: true }), lost);
  expect(rig.wait()).toMatchObject([{ query: { session: "s1" } }]);
  rig.take(opened, received({ ...welcome, recovered: true, session: "s2" }));
  expect(rig.take(start).at(-1)).toMatchObject({ query: { session: "s2" } });
});

test("CL18 a redirect with a ticket leaves the session behind, one without takes it along", () => {
  const rig = new Rig();
  rig.take(start, opened, received({ ...welcome, session: "s1" }));
  const address = "wss://other/parties/router/room?place=1";
  rig.take(received({ type: "redirect", url: address }));
  expect(rig.wait()).toMatchObject([{ address, query: { session: "s1" } }]);
  rig.take(opened, received({ type: "redirect", url }));
  const [connect] = rig.wait();
  expect(connect).toMatchObject({ type: "connect", address: url });
  expect(connect).toHaveProperty("query.session", undefined);
  expect(connect).not.toHaveProperty("query.ticket");
});

test("CL2 a reset moves the client, within an epoch or to another", () => {
  const rig = new Rig().open();
  rig.take(received({ type: "reset", epoch: "f", seq: 2, reason: "restored" }));
  const detail = {
    previous: { epoch: "e", seq: 5 },
    position: { epoch: "f", seq: 2 },
    reason: "restored",
  };
  expect(rig.effects).toEqual([{ type: "tell", what: "reset", detail }]);
  rig.take(received(messages(2, "three")));
  expect(rig.delivered).toEqual(["three"]);
});

test("CL7 close and reconnect keep the position", () => {
  const rig = new Rig().open();
  rig.take({ type: "stop", code: 3000, reason: "bye" });
  expect(rig.effects).toEqual([
    { type: "disconnect", code: 3000, reason: "bye" },
    { type: "closed", code: 3000, reason: "bye" },
  ]);
  expect(rig.take(start)).toMatchObject([{ type: "connect", query: { epoch: "e", since: "5" } }]);
});

test("CL6 what the application gave as options is in force", () => {
  const rig = new Rig(settingsFrom({ pingIntervalMs: Infinity, connectionTimeout: 1 })).open();
  expect(wakeAt(rig.state)).toBe(Infinity);
});
