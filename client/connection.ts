/**
 * The client's connection as a pure state machine: what follows on an event in a phase. Time and
 * randomness come in, effects go out; `RoomSocket` is the loop around it. Every event is taken in
 * every phase.
 *
 * A message is handed over once and in order: repeats are dropped, and whatever does not follow on
 * the position ends the connection, which comes back and resumes. When the room cannot resume, the
 * application is told by `reset`.
 */
import { mayReconnect, movedCode } from "../src/protocol/close-codes.ts";
import type { ConnectionEvent, ConnectionState, Context, Step, Turn } from "./connection-state.ts";
import { byteLength, hasRoomFor } from "./outbox.ts";
import { receive, takeAnswer } from "./receiving.ts";
import {
  abandon,
  connect,
  giveUp,
  flush,
  halt,
  hangUp,
  hasSocket,
  lose,
  settle,
  transmit,
} from "./transitions.ts";

export function step(state: ConnectionState, event: ConnectionEvent, context: Context): Step {
  const turn: Turn = { ...state, ...context, effects: [] };
  take(turn, event);
  const { now: _now, random: _random, effects, ...next } = turn;
  return { state: next, effects };
}

function take(turn: Turn, event: ConnectionEvent): void {
  const { link } = turn;
  switch (event.type) {
    case "start":
      hangUp(turn, event.code, event.reason);
      turn.failures = 0;
      return connect(turn);
    case "stop":
      hangUp(turn, event.code, event.reason);
      return halt(turn);
    case "opened":
      if (link.phase !== "connecting") return;
      turn.link = { ...link, phase: "greeting" };
      // A hibernating object hangs up on who has never said anything only when it sleeps (workerd, 2026-09).
      turn.effects.push({ type: "transmit", text: "ping" });
      return;
    case "closed":
      if (!hasSocket(link.phase)) return;
      turn.effects.push(event);
      // The server that a redirect gave has let go of the room: the router knows where it is.
      if (event.code === movedCode) turn.address = null;
      return mayReconnect(event.code) ? lose(turn) : halt(turn);
    case "received":
      return receive(turn, event.data);
    case "subscribe":
      turn.topics = event.topics;
      // While the connection is on its way it is told once it is welcomed.
      if (link.phase === "open") transmit(turn, event);
      return;
    case "publish":
    case "send":
      return enqueue(turn, event);
    case "answered":
      return takeAnswer(turn, event.id, event.answer);
    case "tick":
      return tick(turn);
  }
}

function enqueue(turn: Turn, event: ConnectionEvent & { type: "publish" | "send" }): void {
  const { data } = event;
  const bytes = byteLength(data);
  const isStopped = turn.link.phase === "stopped";
  const isTaken = !isStopped && hasRoomFor(turn, bytes);
  if (event.type === "send") {
    if (isTaken) turn.sends = [...turn.sends, { data, bytes }];
  } else if (isTaken) {
    const publish = { ...event, bytes, attempts: 0, leaveAt: 0, expiresAt: Infinity };
    turn.publishes = [...turn.publishes, publish];
  } else {
    settle(turn, event.id, { ok: false, code: isStopped ? "closed" : "buffer-full" });
  }
  flush(turn);
}

function tick(turn: Turn): void {
  const { link, settings, now } = turn;
  giveUp(turn, "unanswered", now);
  flush(turn);
  if (now < link.wakeAt) return;
  if (link.phase === "waiting") return connect(turn);
  // For an idle client and one that stopped no time is due.
  if (link.phase !== "open") return abandon(turn, "no welcome");
  if (link.isPinged) return abandon(turn, "no pong");
  turn.link = { ...link, isPinged: true, wakeAt: now + settings.pingTimeoutMs };
  turn.effects.push({ type: "transmit", text: "ping" });
}
