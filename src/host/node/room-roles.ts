/**
 * A whole room in one process: its sequencer and its one shard over storage in memory, with calls and
 * links that leave no process. Translates; knows nothing of sockets, tickets or the room's handlers.
 */
import { hub } from "../../core/partitions.ts";
import type { Caller, ObjectPorts } from "../../core/ports.ts";
import type { RoomType } from "../../core/rooms.ts";
import type { ReplyTo, RequestTo, Role } from "../../protocol/calls.ts";
import { shardId, type RoomId } from "../../protocol/names.ts";
import { failure, success, type Result } from "../../protocol/result.ts";
import { Sequencer } from "../../sequencer/sequencer.ts";
import type { BroadcastHook } from "../../shard/fan-out.ts";
import { Shard } from "../../shard/shard.ts";
import { clock, entropy, WakeTimer } from "../platform.ts";
import { openLocalLink } from "./local-link.ts";
import { MemoryStorage } from "./memory-storage.ts";

export type RoomRolesOptions = {
  readonly room: RoomId;
  readonly type: RoomType;
  readonly onBroadcast?: BroadcastHook;
  /** The shard has something new to tell of its load. */
  readonly onReport: () => void;
  readonly onError: (error: unknown) => void;
};

export class RoomRoles {
  readonly #timers: WakeTimer[] = [];
  readonly #options: RoomRolesOptions;
  #sequencer: Sequencer | null = null;
  #shard: Shard | null = null;

  private constructor(options: RoomRolesOptions) {
    this.#options = options;
  }

  static async start(options: RoomRolesOptions): Promise<RoomRoles> {
    const roles = new RoomRoles(options);
    await roles.#start();
    return roles;
  }

  get shard(): Shard {
    if (this.#shard === null) throw new Error("the room is over");
    return this.#shard;
  }

  readonly calls: Caller = {
    call: async <R extends Role, Request extends RequestTo<R>>(
      to: { readonly role: R },
      request: Request,
    ): Promise<Result<ReplyTo<R, Request>>> => {
      // A call is never answered in the turn in which it is made.
      await Promise.resolve();
      try {
        const reply = await this.#answer(to.role, request);
        return reply as Result<ReplyTo<R, Request>>;
      } catch (error) {
        this.#options.onError(error);
        return failure("unreachable", "the role failed");
      }
    },
  };

  /** Nothing happens in the room any more. */
  end(): void {
    for (const timer of this.#timers) timer.set(null);
    this.#sequencer = null;
    this.#shard = null;
  }

  async #start(): Promise<void> {
    const { room, type, onBroadcast, onError } = this.#options;
    this.#sequencer = await Sequencer.start(type, {
      ...this.#ports(() => this.#sequencer?.wake()),
      registry: hub,
      dialer: {
        dial: async (_, events) => {
          if (this.#shard === null) return failure("unreachable", "the room is over");
          return success(openLocalLink(this.#shard, events, onError));
        },
      },
    });
    const ports = {
      ...this.#ports(() => this.#shard?.wake()),
      registry: hub,
      onHookError: onError,
      ...(onBroadcast === undefined ? {} : { onBroadcast }),
    };
    this.#shard = await Shard.start(shardId(room, 1), type, ports, [], []);
  }

  /** Both live as long as the process, so that nothing has to be woken after it. */
  #ports(wake: () => void): ObjectPorts {
    const timer = new WakeTimer(wake);
    this.#timers.push(timer);
    return {
      clock,
      entropy,
      storage: new MemoryStorage(),
      calls: this.calls,
      wakeups: { soon: (at) => timer.set(at), durable: () => {} },
    };
  }

  #answer(role: Role, request: unknown): Result<unknown> | Promise<Result<unknown>> {
    switch (role) {
      case "sequencer":
        return (
          this.#sequencer?.handle(request as RequestTo<"sequencer">) ??
          failure("unreachable", "the room is over")
        );
      case "shard":
        return (
          this.#shard?.handle(request as RequestTo<"shard">) ??
          failure("unreachable", "the room is over")
        );
      case "registry":
        this.#options.onReport();
        return success(null);
    }
  }
}
