/**
 * Ways from one phase of a connection to another, and what each brings with it. Knows nothing of
 * what the shard says; `receiving.ts` does.
 */
import type { ClientFrame } from "../src/protocol/client.ts";
import { maxUnanswered } from "../src/protocol/publish-id.ts";
import type { Phase, Turn } from "./connection-state.ts";
import type { Outcome } from "./outbox.ts";
import { pauseMs } from "./settings.ts";

/** Failures in a row after which an address that a `redirect` gave is given up. */
const redirectAttempts = 3;

/**
 * A publish over the socket is repeated when it has no answer for so long, and a pause on top that
 * grows: a shard that slept meanwhile has forgotten whom the answer was for.
 */
const repeatMs = 10_000;

export function transmit({ effects }: Turn, frame: ClientFrame): void {
  effects.push({ type: "transmit", text: JSON.stringify(frame) });
}

export function settle({ effects }: Turn, id: string, outcome: Outcome): void {
  effects.push({ type: "settle", id, outcome });
}

/** Asks for a connection that goes on where this client is. */
export function connect(turn: Turn): void {
  const { position, topics, address, session, settings } = turn;
  turn.link = { phase: "connecting", wakeAt: turn.now + settings.connectionTimeout, topics };
  if (settings.publish === "socket") {
    // Their answers would have come over the socket that is lost.
    turn.publishes = turn.publishes.map((item) => ({ ...item, leaveAt: 0 }));
  }
  const query = {
    protocol: "1",
    epoch: position?.epoch,
    since: position?.seq.toString(),
    topics: topics.join() || undefined,
    session,
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

/**
 * The socket is gone: the client comes back after a pause, unless it has failed too often. Where the
 * router leads it goes at once: the seat that is held there may not be for long.
 */
export function lose(turn: Turn, isRedirected?: boolean): void {
  const { link, settings, now, random } = turn;
  if (link.phase === "open" && now - link.since >= settings.minUptime) {
    turn.failures = turn.strikes = 0;
  }
  turn.failures += 1;
  turn.strikes += 1;
  if (turn.failures > settings.maxRetries) return halt(turn);
  const isAtOnce = isRedirected && turn.address === null;
  const pause = isAtOnce ? 0 : pauseMs(turn.failures, random, settings);
  if (turn.strikes >= redirectAttempts) turn.address = null;
  turn.link = { phase: "waiting", wakeAt: now + pause };
}

/** Gives up a socket of which nothing right can be expected any more. */
export function abandon(turn: Turn, reason: string, isRedirected?: boolean): void {
  hangUp(turn, 1000, reason);
  lose(turn, isRedirected);
}

/**
 * Lets out what may leave. Over the socket that goes by number, since the room remembers a client's
 * last keys by number: the oldest may be waiting for a repeat while all after it have their answer.
 * Over HTTP it is one publish at a time, since requests overtake each other and one client's messages
 * are to keep their order.
 */
export function flush(turn: Turn): void {
  const { link, settings, effects, now } = turn;
  if (link.phase !== "open") return;
  for (const { data } of turn.sends) transmit(turn, { type: "send", data });
  turn.sends = [];
  const isOverHttp = settings.publish === "http";
  const end = (turn.publishes[0]?.number ?? 0) + (isOverHttp ? 1 : maxUnanswered);
  turn.publishes = turn.publishes.map((item) => {
    if (item.leaveAt > now || item.number >= end) return item;
    const { id, data, topic } = item;
    if (isOverHttp) effects.push({ type: "post", id, data, topic });
    else transmit(turn, { type: "publish", id, data, topic });
    const attempts = item.attempts + 1;
    return {
      ...item,
      leaveAt: isOverHttp ? Infinity : now + repeatMs + pauseMs(attempts, turn.random, settings),
      attempts,
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
