/**
 * Ways from one phase of a connection to another, and what each brings with it. Knows nothing of
 * what the shard says; `receiving.ts` does.
 */
import type { ClientFrame } from "../src/protocol/client.ts";
import type { Phase, Turn } from "./connection-state.ts";
import type { Outcome } from "./outbox.ts";
import { maxUnanswered } from "./protocol-bounds.ts";
import { pauseMs } from "./settings.ts";

/** Failures in a row after which an address that a `redirect` gave is given up. */
const redirectAttempts = 3;

export function transmit({ effects }: Turn, frame: ClientFrame): void {
  effects.push({ type: "transmit", text: JSON.stringify(frame) });
}

export function settle({ effects }: Turn, id: string, outcome: Outcome): void {
  effects.push({ type: "settle", id, outcome });
}

/** Asks for a connection that goes on where this client is. */
export function connect(turn: Turn): void {
  const { position, topics, address, settings } = turn;
  turn.link = { phase: "connecting", wakeAt: turn.now + settings.connectionTimeout, topics };
  if (settings.publish === "socket") {
    // Their answers would have come over the socket that is lost.
    turn.publishes = turn.publishes.map((item) => ({ ...item, leaveAt: 0 }));
  }
  const query = {
    protocol: "1",
    epoch: position?.epoch,
    since: position?.seq.toString(),
    topics: topics.length > 0 ? topics.join(",") : undefined,
  };
  turn.effects.push({ type: "connect", address, query });
}

export function hasSocket(phase: Phase): boolean {
  return phase === "connecting" || phase === "greeting" || phase === "open";
}

/** The end of a socket by this side, if there is one. */
export function hangUp({ link, effects }: Turn, code: number, reason: string): void {
  if (hasSocket(link.phase)) {
    effects.push({ type: "disconnect", code, reason }, { type: "closed", code, reason });
  }
}

/** Ends the connection for good; what has no answer yet will have none. */
export function halt(turn: Turn): void {
  turn.link = { phase: "stopped", wakeAt: Infinity };
  turn.sends = [];
  giveUp(turn, "closed", Infinity);
}

/** The socket is gone: the client comes back after a pause, unless it has failed too often. */
export function lose(turn: Turn): void {
  const { link, settings, now } = turn;
  if (link.phase === "open" && now - link.since >= settings.minUptime) turn.failures = 0;
  turn.failures += 1;
  if (turn.failures > settings.maxRetries) return halt(turn);
  if (turn.failures >= redirectAttempts) turn.address = null;
  turn.link = { phase: "waiting", wakeAt: now + pauseMs(turn.failures, turn.random, settings) };
}

/** Gives up a socket of which nothing right can be expected any more. */
export function abandon(turn: Turn, reason: string): void {
  hangUp(turn, 1000, reason);
  lose(turn);
}

/**
 * Lets out what may leave. Over the socket that is as much as the room remembers the keys of; over
 * HTTP one publish at a time, since requests overtake each other and one client's messages are to keep their order.
 */
export function flush(turn: Turn): void {
  const { link, settings, effects, now } = turn;
  if (link.phase !== "open") return;
  for (const { data } of turn.sends) transmit(turn, { type: "send", data });
  turn.sends = [];
  const isOverHttp = settings.publish === "http";
  const maxUnderWay = isOverHttp ? 1 : maxUnanswered;
  turn.publishes = turn.publishes.map((item, index) => {
    if (item.leaveAt > now || index >= maxUnderWay) return item;
    const { id, data, topic } = item;
    if (isOverHttp) effects.push({ type: "post", id, data, topic });
    else transmit(turn, { type: "publish", id, data, topic });
    return {
      ...item,
      leaveAt: Infinity,
      attempts: item.attempts + 1,
      expiresAt: Math.min(item.expiresAt, now + settings.publishTimeoutMs),
    };
  });
}

/** Gives up the publishes that expire by then. */
export function giveUp(turn: Turn, code: "unanswered" | "closed", by: number): void {
  turn.publishes = turn.publishes.filter(({ id, expiresAt, problem }) => {
    if (expiresAt > by) return true;
    settle(turn, id, { ok: false, code, problem });
    return false;
  });
}
