/**
 * What the shard says, and what follows. A shard that says what cannot be is left: the client comes
 * back and resumes, so that it has everything once, in order, or is told that it has not.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import type { Position } from "../src/protocol/link.ts";
import type { Payload } from "../src/protocol/payload.ts";
import type { ProblemDocument } from "../src/protocol/problems.ts";
import type { Topics, Turn } from "./connection-state.ts";
import type { Answer, Publish } from "./outbox.ts";
import { ackEvery } from "./protocol-bounds.ts";
import { readServerFrame } from "./server-frame.ts";
import { pauseMs } from "./settings.ts";
import { abandon, flush, hangUp, lose, settle, transmit } from "./transitions.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

export function receive(turn: Turn, data: unknown): void {
  const { state, now } = turn;
  const { link, settings } = state;
  if (link.phase !== "open" && link.phase !== "greeting") return;
  if (link.phase === "open") {
    // Anything that is heard shows that the connection lives.
    const wakeAt = now + settings.pingIntervalMs;
    state.link = { ...link, wakeAt, isPinged: false, units: link.units + String(data).length };
  }
  if (data === "pong") return;
  const frame = readServerFrame(data);
  if (frame?.type === "redirect") return redirect(turn, frame.url);
  if (link.phase === "greeting" && frame?.type === "welcome") {
    return welcome(turn, frame, link.topics);
  }
  if (link.phase !== "open" || frame === null || !take(turn, frame)) {
    return abandon(turn, "continuityLost", `unexpected ${frame?.type ?? "data"}`);
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
      for (const data of frame.data) deliver(turn, data);
      return true;
    case "local":
      deliver(turn, frame.data, null, true);
      return true;
    case "reset":
      reset(turn, frame, frame.reason);
      return true;
    case "published":
      takeAnswer(turn, frame.id, { ok: true, value: { seq: frame.seq } });
      return true;
    case "rejected":
      takeAnswer(turn, frame.id, { ok: false, problem: frame.problem });
      return true;
  }
}

function deliver(
  { effects }: Turn,
  data: Payload,
  position: Position | null = null,
  isLocal = false,
): void {
  effects.push({ type: "deliver", data, position, isLocal });
}

function takeMessages(turn: Turn, frame: FrameOf<"messages">): boolean {
  const { state } = turn;
  const { position, link } = state;
  const { after, through } = frame;
  if (position === null || after > position.seq || link.phase !== "open") return false;
  for (const [index, data] of frame.data.entries()) {
    const seq = frame.seq?.[index] ?? after + 1 + index;
    if (seq > position.seq) deliver(turn, data, { ...position, seq });
  }
  const covered = Math.max(0, through - position.seq);
  state.position = { ...position, seq: position.seq + covered };
  state.link = { ...link, messages: link.messages + covered };
  return true;
}

/** Continuity is lost, and the application is told. */
function reset({ state, effects }: Turn, { epoch, seq }: Position, reason: string): void {
  const previous = state.position;
  state.position = { epoch, seq };
  effects.push({ type: "reset", detail: { previous, position: state.position, reason } });
}

/** Acknowledges in time what has been handed over. */
function acknowledge(turn: Turn): void {
  const { link, position } = turn.state;
  if (link.phase !== "open" || position === null) return;
  if (link.messages < ackEvery.messages && link.units < ackEvery.units) return;
  turn.state.link = { ...link, messages: 0, units: 0 };
  transmit(turn, { type: "ack", seq: position.seq });
}

function welcome(turn: Turn, frame: FrameOf<"welcome">, askedTopics: Topics): void {
  const { state, effects, now } = turn;
  const { position, topics } = state;
  const { connection, shard, epoch, seq, recovered } = frame;
  const wakeAt = now + state.settings.pingIntervalMs;
  const counts = { messages: 0, units: 0 };
  const times = { since: now, wakeAt, isPinged: false };
  state.link = { phase: "open", connection, shard, ...times, ...counts };
  effects.push({ type: "opened" });
  if (position === null) {
    state.position = { epoch, seq };
  } else if (recovered && epoch === position.epoch && seq <= position.seq) {
    effects.push({ type: "recovered", detail: { position } });
  } else {
    // Also where a shard claims to go on, but would leave something out.
    reset(turn, frame, "not-recovered");
  }
  if (topics !== askedTopics) transmit(turn, { type: "subscribe", topics: [...topics] });
  flush(turn);
}

/** Elsewhere, from now on. At once the first time, so that being moved is not felt. */
function redirect(turn: Turn, url: string): void {
  const { state, now } = turn;
  hangUp(turn, 1000, "redirected");
  lose(turn);
  state.address = url;
  if (state.failures === 1)
    state.link = { ...state.link, wakeAt: Math.min(now, state.link.wakeAt) };
}

/** An answer to a publish, over the socket or to a `post`. A refusal for the moment is not the end. */
export function takeAnswer(turn: Turn, id: string, answer: Answer): void {
  const { state, now, random } = turn;
  const publish = state.publishes.find((item) => item.id === id);
  if (publish === undefined) return;
  let rest: readonly Publish[] = [];
  if (answer.ok || !isRetryable(answer.problem)) {
    settle(turn, id, answer.ok ? answer : { ...answer, code: "rejected" });
  } else {
    const { problem, retryAfterMs = 0 } = answer;
    const retryAt = now + retryAfterMs + pauseMs(publish.attempts, random, state.settings);
    rest = [{ ...publish, isUnderWay: false, retryAt, problem }];
  }
  state.publishes = state.publishes.flatMap((item) => (item === publish ? rest : item));
  flush(turn);
}

/** Refusals for the moment, and failures on the way: the idempotency key makes a repeat safe. */
function isRetryable(problem: ProblemDocument | undefined): boolean {
  return problem === undefined || problem.status === 429 || problem.status >= 500;
}
