import { expect, test } from "vitest";
import { signTicket, verifyTicket } from "./ticket.ts";

const secret = "a secret of at least thirty-two bytes";
const claims = {
  room: "game:1",
  server: "game:1-1",
  seat: "seat",
  player: "ann",
  instance: "i1",
  expiresAt: 1_700_000_000_500,
};

test("SE10 a ticket tells what was signed, also after it expired", async () => {
  const ticket = await signTicket(secret, claims);
  expect(await verifyTicket(secret, ticket)).toEqual({ ok: true, value: claims });
});

test("SE10 a ticket that another key signed, or that was changed, is not valid", async () => {
  const ticket = await signTicket(secret, claims);
  const [header = "", body = "", signature = ""] = ticket.split(".");
  const other = await signTicket(`${secret}!`, claims);
  const richer = btoa(JSON.stringify({ ...claims, player: "bob", aud: "partyshard:seat" }));
  const none = btoa(JSON.stringify({ alg: "none" }));
  for (const forged of [
    other,
    `${header}.${richer.replaceAll("=", "")}.${signature}`,
    `${none.replaceAll("=", "")}.${body}.`,
    `${header}.${body}`,
    ticket.slice(0, -2),
    "",
    "a.b.c",
    "\u0000",
  ]) {
    expect(await verifyTicket(secret, forged)).toMatchObject({ ok: false, code: "ticket-invalid" });
  }
});
