/** The gate on PartyKit: the statics of a party, which run in the Worker for every outside request. */
import type * as Party from "partykit/server";
import type { Rooms } from "../../core/rooms.ts";
import { Gate } from "../../gate/gate.ts";
import type { GatePorts } from "../../gate/ports.ts";
import { hub } from "../../core/partitions.ts";
import { secretName } from "../../protocol/ticket.ts";
import { regionOfRequest, upgradeHeaders, variable } from "../outside.ts";
import {
  adminTokenName,
  callFailure,
  clock,
  discardUpgrade,
  entropy,
  eventsPath,
  outsideHeaders,
  within,
} from "../platform.ts";
import { createCaller, stub } from "./ports.ts";

/**
 * What PartyKit loads as a party: a class whose statics answer everything from outside. A class that
 * extends it may answer before they do.
 */
export type PartyClass = (new (
  room: Party.Room,
) => Party.Server & { onRequest(request: Party.Request): Promise<Response> }) & {
  onBeforeConnect(request: Party.Request, lobby: Party.Lobby): Promise<Response>;
  onBeforeRequest(request: Party.Request, lobby: Party.Lobby): Promise<Response>;
};

/**
 * Longest query: it rests with the socket, in an attachment that PartyKit's runtime (July 2024)
 * limits to 2 KiB and that holds the class's own state too.
 */
const maxQueryLength = 1024;

/** The deployment's gate: its parties are one bundle, and share its tables and counters. */
const gates = new WeakMap<Rooms, Gate>();

/** Answers a request from outside. No such request goes on to an object as it came. */
export function answerFromOutside(
  rooms: Rooms,
  request: Party.Request,
  lobby: Party.Lobby,
): Promise<Response> {
  // The platform takes no hint of where an object is to be.
  const gate = gates.get(rooms) ?? new Gate(rooms.withoutRegions());
  gates.set(rooms, gate);
  return gate.handle(
    request as unknown as Request,
    createGatePorts(lobby),
  ) as unknown as Promise<Response>;
}

function createGatePorts(lobby: Party.Lobby): GatePorts {
  return {
    clock,
    entropy,
    calls: createCaller(lobby.parties),
    adminToken: variable(lobby.env, adminTokenName),
    secret: variable(lobby.env, secretName),
    region: regionOfRequest,
    maxQueryLength,
    // The platform accepts the socket before the party sees it.
    canRefuseUpgrades: false,
    onError: (error) => console.error("partyshard gate:", error),
    within,
    connect: async (shard, request, query, _connection, signal, claim) => {
      try {
        const headers = upgradeHeaders(request.headers, claim);
        const response = await stub(lobby.parties, "shard", shard).fetch(`/?${query}`, { headers });
        if (signal.aborted) {
          discardUpgrade(response);
          return { ok: false, code: "unreachable" };
        }
        // A shard whose class cannot start answers an upgrade with an ordinary 500.
        return response.status === 101 ? response : { ok: false, code: "unreachable" };
      } catch (error) {
        return callFailure(error);
      }
    },
    answerSocket: (frame, code, reason) => {
      const { 0: theirs, 1: ours } = new WebSocketPair();
      ours.accept();
      ours.send(frame);
      ours.close(code, reason);
      return new Response(null, { status: 101, webSocket: theirs });
    },
    events: (request, pattern) => {
      const path = `/${eventsPath}?pattern=${encodeURIComponent(pattern)}`;
      const headers = outsideHeaders(request.headers);
      return stub(lobby.parties, "registry", hub).fetch(path, { headers });
    },
  };
}
