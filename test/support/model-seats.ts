/** Seats beside what anybody was promised, kept the simple way; throws when the two disagree. */
import { Seats, type Seat } from "../../src/core/seats.ts";

export const graceMs = 15_000;

export type SeatStep =
  | { readonly name: "reserve"; readonly count: number; readonly ttl: number }
  | { readonly name: "claim" | "session"; readonly seat: number; readonly connection: string }
  | { readonly name: "join"; readonly connection: string }
  | { readonly name: "welcome" | "release" | "drop"; readonly which: number }
  | { readonly name: "time"; readonly ms: number }
  | { readonly name: "restart" };

/** What anybody was promised, kept the simple way; `seats` is held to it. */
export class ModelSeats {
  seats = new Seats(graceMs);
  rows = new Map<string, Parameters<Seats["restore"]>[1]>();
  now = 1_000_000;
  readonly places: number;
  /** Every ticket that was given out, in order. */
  readonly tickets: { id: string; player: string; expiresAt: number; by: string | null }[] = [];
  entering: { seat: Seat; connection: string }[] = [];
  /** Who sits where, by the seat's id. */
  sitting = new Map<string, { seat: Seat; connection: string }>();
  /** Until when nobody but its player may have it. */
  readonly kept = new Map<string, number>();
  #ids = 0;

  constructor(places: number) {
    this.places = places;
  }

  step(step: SeatStep): void {
    switch (step.name) {
      case "reserve":
        this.#reserve(step.count, step.ttl);
        break;
      case "claim":
        this.#claim(step.seat, step.connection);
        break;
      case "session":
        this.#enter(this.seats.ofSession(`secret ${step.seat}`, this.now), step.connection);
        break;
      case "join":
        this.#join(step.connection);
        break;
      case "welcome":
        this.#welcome(step.which);
        break;
      case "release":
        this.#release(step.which);
        break;
      case "drop":
        this.#drop(step.which);
        break;
      case "time":
        this.now += step.ms;
        this.seats.expire(this.now);
        break;
      case "restart":
        this.#restart();
        break;
    }
    this.#check();
  }

  #reserve(count: number, ttl: number): void {
    const asked = Array.from({ length: count }, () => {
      this.#ids += 1;
      return { id: `seat ${this.#ids}`, player: `player ${this.#ids}` };
    });
    const before = this.seats.size;
    const reserved = this.seats.reserve(asked, ttl, this.places, this.now);
    if (!reserved.ok) return check(this.seats.size <= before, "a refusal took seats");
    for (const each of asked) {
      this.tickets.push({ ...each, expiresAt: reserved.value, by: null });
      this.kept.set(each.id, reserved.value);
    }
  }

  #claim(index: number, connection: string): void {
    const ticket = this.tickets[index % Math.max(1, this.tickets.length)];
    if (ticket === undefined) return;
    const { id, player, expiresAt } = ticket;
    const found = this.seats.find({ id, player, expiresAt }, connection, this.now);
    const isEntering = this.entering.some(({ seat }) => seat.id === id);
    // It works for the one who used it; for anybody else as long as it is good and nobody has.
    if (ticket.by !== null && ticket.by !== connection) {
      check(!found.ok, `ticket ${id} worked for two`);
    } else if (ticket.by === null && !isEntering) {
      check(found.ok === this.now < expiresAt, `ticket ${id} was judged wrongly`);
    }
    if (found.ok) this.#enter(found.value, connection);
  }

  #join(connection: string): void {
    const known = this.seats.ofConnection(connection, this.now);
    if (known !== null) return this.#enter(known, connection);
    this.#ids += 1;
    const seat = this.seats.give(`seat ${this.#ids}`, connection, this.places, this.now);
    if (seat !== null) this.entering.push({ seat, connection });
  }

  #enter(seat: Seat | null, connection: string): void {
    if (seat === null) return;
    this.seats.enter(seat, connection);
    this.entering.push({ seat, connection });
  }

  #welcome(which: number): void {
    const [entry] = this.entering.splice(which % Math.max(1, this.entering.length), 1);
    if (entry === undefined) return;
    const session = which % 2 === 0 ? `secret ${which}` : null;
    const isNew = session !== null && this.seats.ofSession(session, this.now) === null;
    const isTaken = this.seats.take(entry.seat, entry.connection, isNew ? session : null);
    check(isTaken, `${entry.seat.id} is no more`);
    this.sitting.set(entry.seat.id, entry);
    const ticket = this.tickets.find(({ id }) => id === entry.seat.id);
    if (ticket !== undefined) ticket.by = entry.connection;
  }

  #release(which: number): void {
    const [entry] = this.entering.splice(which % Math.max(1, this.entering.length), 1);
    if (entry !== undefined) this.seats.release(entry.seat, this.now);
  }

  #drop(which: number): void {
    const [id, sitting] = [...this.sitting][which % Math.max(1, this.sitting.size)] ?? [];
    if (id === undefined || sitting === undefined) return;
    this.seats.drop(sitting.seat, this.now);
    this.sitting.delete(id);
    this.kept.set(id, this.now + graceMs);
  }

  /** The object dies with its sockets; or it slept, and they live. */
  #restart(): void {
    const survivors = this.now % 2 === 0 ? this.sitting : new Map<string, never>();
    for (const id of this.sitting.keys()) {
      if (!survivors.has(id)) this.kept.set(id, this.now + graceMs);
    }
    this.entering = [];
    const next = new Seats(graceMs);
    const sitting = new Map<string, { seat: Seat; connection: string }>();
    for (const [id, row] of this.rows) {
      const seat = next.restore(id, row, survivors.has(id), this.now);
      if (survivors.has(id)) sitting.set(id, { seat, connection: seat.connection ?? "" });
    }
    check(sitting.size === survivors.size, "a survivor lost its seat");
    this.sitting = sitting;
    this.seats = next;
    next.expire(this.now);
  }

  #check(): void {
    const changes = this.seats.takeChanges();
    for (const [id, row] of Object.entries(changes.put)) this.rows.set(id, row);
    for (const id of changes.delete) this.rows.delete(id);
    check(this.seats.size <= this.places, "more seats than places");
    const busy = new Set([...this.sitting.keys(), ...this.entering.map(({ seat }) => seat.id)]);
    const kept = [...this.kept].filter(([id, until]) => until > this.now && !busy.has(id));
    // Nobody's promise is broken, and what is over is free.
    check(this.seats.size === busy.size + kept.length, `${this.seats.size} seats`);
  }
}

function check(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
