/**
 * Empties a game server: room after room lets go of its players at a moment drawn at random, when its
 * state is stored and another server has it. Knows nothing of why.
 */
import {
  problemType,
  type RegistryProblem,
  type RegistryResult,
} from "../../../client/registry-client.ts";
import { closeCodes } from "../../protocol/close-codes.ts";
import type { RoomId } from "../../protocol/names.ts";
import { entropy } from "../platform.ts";
import type { HostedRoom } from "./hosted-room.ts";
import type { HostedRooms } from "./hosted-rooms.ts";
import type { ServerSocket } from "./server-socket.ts";

const retryMs = 1_000;
/** The players of one room go within this, as they come back at once. */
const waveMs = 1_000;
/** A socket that was closed is waited for so long. */
const closingMs = 5_000;

export type EmptyingOptions = {
  readonly rooms: HostedRooms;
  /** Has another server have the room. */
  readonly relocate: (room: RoomId) => Promise<RegistryResult<unknown>>;
  /** The rooms go over so long. */
  readonly drainMs: number;
  /** By then all have gone, wherever to. */
  readonly limitMs: number;
};

export class Emptying {
  readonly #options: EmptyingOptions;
  #done: Promise<void> | null = null;
  #isStopping = false;
  #limit: ReturnType<typeof setTimeout> | null = null;
  readonly #late = Promise.withResolvers<void>();
  #isLate = false;
  /** Whatever waits, which the end cuts short. */
  readonly #waiting = new Set<() => void>();

  constructor(options: EmptyingOptions) {
    this.#options = options;
  }

  /** Whether it has begun. */
  get isOn(): boolean {
    return this.#done !== null;
  }

  /**
   * Resolves when nobody is left, or the limit is reached. A server that stops does not wait for
   * another one to have space.
   */
  begin(isStopping: boolean): Promise<void> {
    if (isStopping) {
      this.#isStopping = true;
    }
    this.#done ??= this.#empty();
    return this.#done;
  }

  /** The server is over: nothing is waited for. */
  end(): void {
    this.#expire();
  }

  async #empty(): Promise<void> {
    const { rooms, limitMs, drainMs } = this.#options;
    this.#limit = setTimeout(() => this.#expire(), limitMs);
    const gone = [...rooms].map(async (room) => {
      await this.#pause(entropy.random() * drainMs);
      await this.#letGo(room);
    });
    await Promise.race([Promise.all(gone), this.#late.promise]);
    this.#expire();
    // Those whose time was over, and one that was only just opening.
    rooms.closeAll("the server was emptied");
  }

  #expire(): void {
    if (this.#limit !== null) clearTimeout(this.#limit);
    this.#isLate = true;
    this.#late.resolve();
    for (const goOn of this.#waiting) goOn();
  }

  /** The room holds still until it is elsewhere; where none takes it, it goes on here for now. */
  async #letGo(room: HostedRoom): Promise<void> {
    const { rooms, relocate } = this.#options;
    while (rooms.get(room.id) === room && !this.#isLate) {
      room.pause();
      await room.store();
      if (rooms.get(room.id) !== room || this.#isLate) return;
      const moved = await relocate(room.id);
      if (moved.ok || this.#isFinal(moved.problem)) {
        await this.#sendAway(room);
        return rooms.close(room.id, "the room is elsewhere");
      }
      room.goOn();
      await this.#pause(retryMs);
    }
  }

  /** Whether there is nothing to wait for: nobody looks for the room, or nobody else will take it. */
  #isFinal({ type }: RegistryProblem): boolean {
    if (type === problemType("unknown-room")) return true;
    return this.#isStopping && type === problemType("no-server");
  }

  async #sendAway(room: HostedRoom): Promise<void> {
    room.hasLeft = true;
    const spreadMs = Math.min(waveMs, this.#options.drainMs);
    await Promise.all(
      room.sockets.map(async (socket) => {
        await this.#pause(entropy.random() * spreadMs);
        const closed = hasClosed(socket);
        socket.close(closeCodes.moved, "the room is on another server");
        await Promise.race([closed, this.#pause(closingMs)]);
      }),
    );
  }

  /** Shorter when the time is over. */
  #pause(ms: number): Promise<void> {
    if (this.#isLate) return Promise.resolve();
    return new Promise((resolve) => {
      const goOn = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(goOn);
        resolve();
      };
      const timer = setTimeout(goOn, ms);
      this.#waiting.add(goOn);
    });
  }
}

function hasClosed(socket: ServerSocket): Promise<void> {
  return new Promise((resolve) => void socket.on("close", () => resolve()));
}
