/**
 * What the shard says, and what follows. A shard that says what cannot be is left: the client comes
 * back and resumes, so that it has everything once, in order, or is told that it has not.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import type { Position } from "../src/protocol/link.ts";
import type { Payload } from "../src/protocol/payload.ts";
import type { Topics, Turn } from "./connection-state.ts";
import type { Answer } from "./outbox.ts";
import { ackEvery } from "./protocol-bounds.ts";
import { readServerFrame } from "./server-frame.ts";
import { pauseMs } from "./settings.ts";
import { abandon, flush, settle, transmit } from "./transitions.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

export function receive(turn: Turn, data: unknown): void {
  const { link, settings } = turn;
  if (link.phase === "open") {
    // Anything that is heard shows that the connection lives.
    const wakeAt = turn.now + settings.pingIntervalMs;
    turn.link = { ...link, wakeAt, isPinged: false, units: link.units + String(data).length };
  } else if (link.phase !== "greeting") return;
  if (data === "pong") return;
  const frame = readServerFrame(data);
  if (frame?.type === "redirect") return redirect(turn, frame.url);
  if (link.phase === "greeting" && frame?.type === "welcome") {
    return welcome(turn, frame, link.topics);
  }
  if (link.phase !== "open" || frame === null || !take(turn, frame)) {
    return abandon(turn, `unexpected ${frame?.type ?? "data"}`);
  }
  acknowledge(turn);
}

/** Whether the shard may say this to a client that it has welcomed. */
function take(turn: Turn, frame: ServerFrame): boolean {
  switch (frame.type) {
    case "welcome":
    case "redirect":
      return false;
    case "messages":
      return takeMessages(turn, frame);
    case "volatile":
      for (const data of frame.data) deliver(turn, data, null);
      break;
    case "local":
      deliver(turn, frame.data, null, true);
      break;
    case "reset":
      reset(turn, frame, frame.reason);
      break;
    case "published":
      takeAnswer(turn, frame.id, { ok: true, value: { epoch: frame.epoch, seq: frame.seq } });
      break;
    case "rejected":
      takeAnswer(turn, frame.id, { ok: false, problem: frame.problem });
  }
  return true;
}

function deliver(turn: Turn, data: Payload, position: Position | null, isLocal = false): void {
  turn.effects.push({ type: "deliver", data, position, isLocal });
}

function takeMessages(turn: Turn, frame: FrameOf<"messages">): boolean {
  const { position, link } = turn;
  const { after, through } = frame;
  if (position === null || after > position.seq || link.phase !== "open") return false;
  for (const [index, data] of frame.data.entries()) {
    const seq = frame.seq?.[index] ?? after + 1 + index;
    if (seq > position.seq) deliver(turn, data, { ...position, seq });
  }
  const seq = Math.max(through, position.seq);
  turn.position = { ...position, seq };
  turn.link = { ...link, messages: link.messages + seq - position.seq };
  return true;
}

/** Continuity is lost, and the application is told. */
function reset(turn: Turn, { epoch, seq }: Position, reason: string): void {
  const detail = { previous: turn.position, position: { epoch, seq }, reason };
  turn.position = detail.position;
  turn.effects.push({ type: "tell", what: "reset", detail });
}

/** Acknowledges in time what has been handed over. */
function acknowledge(turn: Turn): void {
  const { link, position } = turn;
  if (link.phase !== "open" || position === null) return;
  if (link.messages < ackEvery.messages && link.units < ackEvery.units) return;
  turn.link = { ...link, messages: 0, units: 0 };
  transmit(turn, { type: "ack", seq: position.seq });
}

function welcome(turn: Turn, frame: FrameOf<"welcome">, askedTopics: Topics): void {
  const { position, topics, effects, now } = turn;
  const { epoch, seq } = frame;
  turn.session = frame.session ?? turn.session;
  turn.link = {
    phase: "open",
    connection: frame.connection,
    shard: frame.shard,
    since: now,
    wakeAt: now + turn.settings.pingIntervalMs,
    isPinged: false,
    messages: 0,
    units: 0,
  };
  effects.push({ type: "tell", what: "open" });
  if (position === null) {
    turn.position = { epoch, seq };
  } else if (frame.recovered && epoch === position.epoch && seq <= position.seq) {
    effects.push({ type: "tell", what: "recovered", detail: { position } });
  } else {
    // Also where a shard claims to go on, but would leave something out.
    reset(turn, frame, "not-recovered");
  }
  if (topics !== askedTopics) transmit(turn, { type: "subscribe", topics });
  flush(turn);
}

/** Elsewhere, from now on. */
function redirect(turn: Turn, url: string): void {
  abandon(turn, "redirected", true);
  turn.address = url;
  turn.strikes = 0;
  // A ticket of its own is for there; without one the client's place is what it was.
  if (/[?&]ticket=/.test(url)) turn.session = undefined;
}

/** An answer to a publish, over the socket or to a `post`. */
export function takeAnswer(turn: Turn, id: string, answer: Answer): void {
  turn.publishes = turn.publishes.flatMap((item) => {
    if (item.id !== id) return item;
    if (answer.ok) {
      settle(turn, id, answer);
      return [];
    }
    const { problem, retryAfterMs = 0 } = answer;
    if (problem !== undefined && problem.status !== 429 && problem.status < 500) {
      settle(turn, id, { ok: false, code: "rejected", problem });
      return [];
    }
    // Refused for the moment, or failed on the way: the idempotency key makes a repeat safe.
    const pause = retryAfterMs + pauseMs(item.attempts, turn.random, turn.settings);
    return { ...item, problem, leaveAt: turn.now + pause };
  });
  flush(turn);
}
