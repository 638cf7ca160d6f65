/**
 * How clients come in: admitted to a place, the room subscribed to before the first is welcomed, and
 * what a client that comes back lacks gathered. Knows nothing of links.
 */
import type { Socket } from "../core/ports.ts";
import type { SeatClaim } from "../protocol/calls.ts";
import type { ClientRequest } from "../protocol/client-request.ts";
import { closeCodes } from "../protocol/close-codes.ts";
import type { Position } from "../protocol/link.ts";
import { failure, type Result } from "../protocol/result.ts";
import { noSeat, type Entry, type Refused } from "./admission.ts";
import { plainRequest, type Clients } from "./clients.ts";
import type { FanOut } from "./fan-out.ts";
import type { History } from "./history.ts";
import type { NotServing, Service } from "./service.ts";
import type { Subscription } from "./subscription.ts";

export type EntranceOwner = {
  readonly service: Service;
  readonly clients: Clients;
  readonly subscription: Subscription;
  readonly history: History;
  readonly fanOut: FanOut;
  /** False when a message must not be read again for one who comes back. */
  readonly canReplay: boolean;
  /** False when the class has not the state that its clients may expect. */
  readonly stateReady: () => Promise<unknown> | null;
  readonly onWelcomed: () => void;
  /** Deadlines have changed. */
  readonly armWake: () => void;
};

export class Entrance {
  readonly #owner: EntranceOwner;

  constructor(owner: EntranceOwner) {
    this.#owner = owner;
  }

  async admit(
    connection: string,
    request: ClientRequest = plainRequest,
    claim: SeatClaim | null = null,
  ): Promise<Result<Entry, Refused | NotServing | "unavailable">> {
    const { service, clients, subscription } = this.#owner;
    if (service.refusal !== null) return service.refusal;
    const entered = clients.enter(connection, request, claim);
    if (!entered.ok) return entered;
    const subscribed = await subscription.ensure();
    // Who is here already shows that the room goes on without its state.
    const hasState =
      subscribed.ok && ((await this.#owner.stateReady()) !== false || clients.size > 0);
    const isReached = hasState && (await this.#reach(request.resume));
    const { refusal } = service;
    if (isReached && refusal === null) return entered;
    this.release(entered.value);
    return refusal ?? failure("unavailable", "the room's sequencer or its state cannot be reached");
  }

  release(entry: Entry = noSeat): void {
    this.#owner.clients.release(entry);
    this.#owner.armWake();
  }

  welcome(
    socket: Socket,
    connection = "",
    request: ClientRequest = plainRequest,
    entry: Entry = noSeat,
  ): boolean {
    const { service, clients, history, fanOut, onWelcomed } = this.#owner;
    if (service.refusal !== null) {
      this.release(entry);
      socket.close(closeCodes.moved, service.refusal.detail);
      return false;
    }
    const { position } = fanOut;
    const isHeld = request.resume !== null && this.#canReplay(request.resume);
    const client = { socket, connection, request };
    if (!clients.welcome(client, entry, { position, isHeld })) return false;
    if (request.resume !== null) history.welcomed(request.resume);
    onWelcomed();
    return true;
  }

  /** A room class that gets its messages as requests sends for itself, so nothing can be replayed. */
  #canReplay(position: Position): boolean {
    if (this.#owner.canReplay) return this.#owner.history.holds(position);
    const here = this.#owner.fanOut.position;
    return here?.epoch === position.epoch && here.seq === position.seq;
  }

  async #reach(position: Position | null): Promise<boolean> {
    if (position === null || !this.#owner.canReplay) return true;
    const reached = this.#owner.history.reach(position);
    this.#owner.armWake();
    return reached;
  }
}
