/**
 * Tickets: signed promises of a seat (JWT, RFC 7519, HS256). The gate signs them, and the gate and
 * servers outside check them; whether the seat is still free for its bearer only its room's server knows.
 */
import { errors, jwtVerify, SignJWT } from "jose";
import * as v from "valibot";
import type { HeldSeats } from "./registry-calls.ts";
import { failure, success, type Result } from "./result.ts";

/** Environment variable of the key that signs tickets. */
export const secretName = "PARTYSHARD_SECRET";
/** RFC 7518, 3.2: a key of HS256 has at least as many bits as its hash. */
export const minSecretBytes = 32;
const algorithm = "HS256";
const audience = "partyshard:seat";

const claimsSchema = v.object({
  room: v.string(),
  /** The shard, or the server outside. */
  server: v.string(),
  seat: v.string(),
  player: v.string(),
  /** Of a server outside: the start of it that has the seat. Another start knows nothing of it. */
  instance: v.optional(v.string()),
  /** Epoch milliseconds, by the clock of the room's server. */
  expiresAt: v.number(),
});
export type TicketClaims = v.InferOutput<typeof claimsSchema>;

export async function signTicket(secret: string, claims: TicketClaims): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: algorithm, typ: "JWT" })
    .setAudience(audience)
    .setExpirationTime(Math.ceil(claims.expiresAt / 1_000))
    .sign(new TextEncoder().encode(secret));
}

/** The ticket of one of the seats that the registry holds. */
export function signSeat(
  secret: string,
  { room, server, instance, expiresAt }: HeldSeats,
  { id: seat, player }: HeldSeats["seats"][number],
): Promise<string> {
  const start = instance === undefined ? {} : { instance };
  return signTicket(secret, { room, server, ...start, seat, player, expiresAt });
}

/** Checks who signed it and for what, not when it expires: who took its seat may come back with it. */
export async function verifyTicket(
  secret: string,
  ticket: string,
): Promise<Result<TicketClaims, "ticket-invalid">> {
  try {
    const { payload } = await jwtVerify(ticket, new TextEncoder().encode(secret), {
      algorithms: [algorithm],
      audience,
      currentDate: new Date(0),
    });
    const claims = v.safeParse(claimsSchema, payload);
    if (claims.success) return success(claims.output);
    return failure("ticket-invalid", "the ticket lacks a claim");
  } catch (error) {
    if (error instanceof errors.JOSEError) return failure("ticket-invalid", error.message);
    throw error;
  }
}
