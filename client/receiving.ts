/**
 * What the shard says, and what follows. A shard that says what cannot be is left: the client comes
 * back and resumes, so that it has everything once, in order, or is told that it has not.
 */
import type { ServerFrame } from "../src/protocol/client.ts";
import type { Position } from "../src/protocol/link.ts";
import type { Topics, Turn } from "./connection-state.ts";
import type { Answer } from "./outbox.ts";
import { ackEvery } from "./protocol-bounds.ts";
import { readServerFrame } from "./server-frame.ts";
import { pauseMs } from "./settings.ts";
import { abandon, flush, hangUp, lose, settle, transmit } from "./transitions.ts";

type FrameOf<Type extends ServerFrame["type"]> = Extract<ServerFrame, { type: Type }>;

export function receive(turn: Turn, data: unknown): void {
  const { state, now } = turn;
  const { link } = state;
  if (link.phase !== "open" && link.phase !== "greeting") return;
  const frame = data === "pong" ? data : readServerFrame(data);
  if (link.phase === "open") {
    // Anything that is heard shows that the connection lives.
    const units = link.units + String(data).length;
    state.link = { ...link, heardAt: now, pingedAt: null, units };
  }
  if (frame === "pong") return;
  if (frame?.type === "redirect") return redirect(turn, frame.url);
  if (link.phase === "open") return take(turn, frame);
  if (frame?.type === "welcome") return welcome(turn, frame, link.topics);
  abandonUnexpected(turn, frame);
}

function abandonUnexpected(turn: Turn, frame: ServerFrame | null): void {
  abandon(turn, "continuityLost", `unexpected ${frame?.type ?? "data"}`);
}

function take(turn: Turn, frame: Exclude<ServerFrame, { type: "redirect" }> | null): void {
  const { effects } = turn;
  switch (frame?.type) {
    case undefined:
    case "welcome":
      return abandonUnexpected(turn, frame);
    case "messages":
      takeMessages(turn, frame);
      break;
    case "volatile":
      for (const data of frame.data) {
        effects.push({ type: "deliver", data, position: null, isLocal: false });
      }
      break;
    case "local":
      effects.push({ type: "deliver", data: frame.data, position: null, isLocal: true });
      break;
    case "reset":
      reset(turn, frame, frame.reason);
      break;
    case "published":
      takeAnswer(turn, frame.id, { ok: true, value: { seq: frame.seq } });
      break;
    case "rejected":
      takeAnswer(turn, frame.id, { ok: false, problem: frame.problem });
  }
  acknowledge(turn);
}

function takeMessages(turn: Turn, frame: FrameOf<"messages">): void {
  const { state, effects } = turn;
  const { position, link } = state;
  const { after, through } = frame;
  if (position === null || after > position.seq || link.phase !== "open") {
    return abandonUnexpected(turn, frame);
  }
  for (const [index, data] of frame.data.entries()) {
    const seq = frame.seq?.[index] ?? after + 1 + index;
    if (seq > position.seq) {
      effects.push({ type: "deliver", data, position: { ...position, seq }, isLocal: false });
    }
  }
  if (through <= position.seq) return;
  state.position = { ...position, seq: through };
  state.link = { ...link, messages: link.messages + through - position.seq };
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
  const counts = { messages: 0, units: 0 };
  const times = { since: now, heardAt: now, pingedAt: null };
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
  if (state.failures === 1 && state.link.phase === "waiting") {
    state.link = { phase: "waiting", until: now };
  }
}

/** An answer to a publish, over the socket or to a `post`. A refusal for the moment is not the end. */
export function takeAnswer(turn: Turn, id: string, answer: Answer): void {
  const { state, now, random } = turn;
  const publish = state.publishes.find((item) => item.id === id);
  if (publish === undefined) return;
  const status = answer.ok ? 200 : answer.problem?.status;
  const isFinal = status !== undefined && status !== 429 && status < 500;
  if (isFinal) {
    state.publishes = state.publishes.filter((item) => item !== publish);
    settle(turn, id, answer.ok ? answer : { ...answer, code: "rejected" });
  } else if (!answer.ok) {
    const { problem, retryAfterMs = 0 } = answer;
    const retryAt = now + retryAfterMs + pauseMs(publish.attempts, random, state.settings);
    state.publishes = state.publishes.map((item) =>
      item === publish ? { ...publish, isUnderWay: false, retryAt, problem } : item,
    );
  }
  flush(turn);
}
