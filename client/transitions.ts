/**
 * Ways from one phase of a connection to another, and what each brings with it. Knows nothing of
 * what the shard says; `receiving.ts` does.
 */
import type { ClientFrame } from "../src/protocol/client.ts";
import { closeCodes } from "../src/protocol/close-codes.ts";
import type { ConnectionState, Turn } from "./connection-state.ts";
import type { Outcome } from "./outbox.ts";
import { pauseMs } from "./settings.ts";

/** Failures in a row after which an address that a `redirect` gave is given up. */
const redirectAttempts = 3;

export function transmit(turn: Turn, frame: ClientFrame): void {
  turn.effects.push({ type: "transmit", text: JSON.stringify(frame) });
}

export function settle({ effects }: Turn, id: string, outcome: Outcome): void {
  effects.push({ type: "settle", id, outcome });
}

/** Asks for a connection that goes on where this client is. */
export function connect({ state, effects, now }: Turn): void {
  const { position, topics, address, settings } = state;
  state.link = { phase: "connecting", wakeAt: now + settings.connectionTimeout, topics };
  if (settings.publish === "socket") {
    // Their answers would have come over the socket that is lost.
    state.publishes = state.publishes.map((item) => ({ ...item, isUnderWay: false }));
  }
  const query: Record<string, string> = { protocol: "1" };
  if (position !== null) {
    query["epoch"] = position.epoch;
    query["since"] = String(position.seq);
  }
  if (topics.length > 0) query["topics"] = topics.join(",");
  effects.push({ type: "connect", address, query });
}

export function hasSocket({ link: { phase } }: ConnectionState): boolean {
  return phase === "connecting" || phase === "greeting" || phase === "open";
}

/** The end of a socket by this side, if there is one. */
export function hangUp({ state, effects }: Turn, code: number, reason: string): void {
  if (hasSocket(state)) {
    effects.push({ type: "disconnect", code, reason }, { type: "closed", code, reason });
  }
}

/** Ends the connection for good; what has no answer yet will have none. */
export function halt(turn: Turn): void {
  const { state } = turn;
  state.link = { phase: "stopped", wakeAt: Infinity };
  state.sends = [];
  giveUp(turn, "closed", Infinity);
}

/** The socket is gone: the client comes back after a pause, unless it has failed too often. */
export function lose(turn: Turn): void {
  const { state, now, random } = turn;
  const { link, settings } = state;
  if (link.phase === "open" && now - link.since >= settings.minUptime) state.failures = 0;
  state.failures += 1;
  if (state.failures > settings.maxRetries) return halt(turn);
  if (state.failures >= redirectAttempts) state.address = null;
  state.link = { phase: "waiting", wakeAt: now + pauseMs(state.failures, random, settings) };
}

/** Gives up a socket of which nothing right can be expected any more. */
export function abandon(turn: Turn, name: "continuityLost" | "unresponsive", reason: string): void {
  hangUp(turn, closeCodes[name], reason);
  lose(turn);
}

/**
 * Lets out what may leave. Over the socket that is everything; over HTTP one publish at a time,
 * since requests overtake each other and one client's messages are to keep their order.
 */
export function flush(turn: Turn): void {
  const { state, effects, now } = turn;
  if (state.link.phase !== "open") return;
  for (const { data } of state.sends) transmit(turn, { type: "send", data });
  state.sends = [];
  const isOverHttp = state.settings.publish === "http";
  state.publishes = state.publishes.map((item, index) => {
    const { id, data, topic, attempts } = item;
    if (item.isUnderWay || item.retryAt > now || (isOverHttp && index > 0)) return item;
    if (isOverHttp) effects.push({ type: "post", id, data, topic });
    else transmit(turn, { type: "publish", id, data, ...(topic === undefined ? {} : { topic }) });
    const expiresAt = attempts > 0 ? item.expiresAt : now + state.settings.publishTimeoutMs;
    return { ...item, isUnderWay: true, attempts: attempts + 1, expiresAt };
  });
}

/** Gives up the publishes that expire by then. */
export function giveUp(turn: Turn, code: "unanswered" | "closed", by: number): void {
  const { state } = turn;
  state.publishes = state.publishes.filter(({ id, expiresAt, problem }) => {
    if (expiresAt > by) return true;
    settle(turn, id, { ok: false, code, problem });
    return false;
  });
}
