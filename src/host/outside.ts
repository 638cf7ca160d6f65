/** Requests from outside, as both platforms describe them: for the gate, and on their way to a shard. */
import { regionOf } from "../core/regions.ts";
import type { SeatClaim } from "../protocol/calls.ts";
import type { Region } from "../protocol/registry.ts";
import { outsideHeaders } from "./platform.ts";
import { seatHeader } from "./platform.ts";

/** A client's headers for the shard that it is handed to, with the seat that it claims. */
export function upgradeHeaders(headers: Headers, claim: SeatClaim | null): Headers {
  const given = outsideHeaders(headers);
  if (claim === null) return given;
  const withSeat = new Headers(given);
  withSeat.set(seatHeader, JSON.stringify(claim));
  return withSeat;
}

/** The region of a request that carries a place, in degrees as text (`request.cf`). */
export function regionOfRequest(request: object): Region | null {
  const { cf } = request as { cf?: { latitude?: unknown; longitude?: unknown } | null };
  const latitude = degrees(cf?.latitude);
  const longitude = degrees(cf?.longitude);
  return latitude === null || longitude === null ? null : regionOf(latitude, longitude);
}

function degrees(text: unknown): number | null {
  return typeof text === "string" && /^-?\d{1,3}(?:\.\d+)?$/.test(text) ? Number(text) : null;
}

/** A variable of the deployment, when it is set. */
export function variable(env: object, name: string): string | undefined {
  const value = (env as Record<string, unknown>)[name];
  return typeof value === "string" ? value : undefined;
}
