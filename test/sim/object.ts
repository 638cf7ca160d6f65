/**
 * One object of the world, as the platform keeps it: an address with durable rows and, at times, a
 * life in memory. The first event starts it, events queue behind the start, a crash or an eviction
 * ends the life. Knows nothing of what its role does.
 */
import type { ObjectPorts, Wakeups } from "../../src/core/ports.ts";
import type { Result } from "../../src/protocol/result.ts";
import type { Answering } from "./network.ts";
import { DurableRows, SimulatedStorage, type Keep, type Rows } from "./storage.ts";
import type { Timer } from "./timeline.ts";
import type { Environment } from "./environment.ts";

/** What the host of a role does with it. */
export type Hosting<Role> = {
  start(life: Life<Role>): Promise<Role>;
  handle(role: Role, request: unknown): Result<unknown> | Promise<Result<unknown>>;
  wake(role: Role): void;
  /** The object's memory is gone; after a crash so are its connections. */
  ended(how: "crashed" | "evicted"): void;
  /** A batch of writes has become durable. */
  stored(puts: readonly Rows[]): void;
};

/** One life of an object in memory. Its ports do nothing once it is over. */
export class Life<Role> {
  readonly number: number;
  readonly storage: SimulatedStorage;
  readonly #world: Environment;
  readonly #object: WorldObject<Role>;
  /** Called when the life ends in a crash. */
  readonly onCrash = new Set<() => void>();
  readonly inbox: ((role: Role) => void)[] = [];
  role: Role | null = null;
  isOver = false;
  /** Requests, calls, dials, links and hooks under way: what keeps an object from hibernating. */
  busy = 0;
  soon: Timer | null = null;

  constructor(world: Environment, object: WorldObject<Role>, number: number) {
    this.#world = world;
    this.#object = object;
    this.number = number;
    const { timeline, random, options } = world;
    this.storage = new SimulatedStorage({
      rows: object.rows,
      timeline,
      random,
      maxTextUnits: options.maxTextUnits,
      isGateBroken: options.planted === "ack-before-durable",
      onWrite: () => object.wrote(),
      onDurable: (puts) => object.hosting.stored(puts),
      onAlarm: (at) => object.armAlarm(at),
    });
  }

  get canHibernate(): boolean {
    const isIdle = this.busy === 0 && this.soon === null && this.inbox.length === 0;
    return this.role !== null && isIdle && this.storage.isQuiet;
  }

  /** Something leaves the object, once its writes are durable. */
  output(run: () => void): void {
    this.storage.output(run);
  }

  ports(): ObjectPorts {
    const world = this.#world;
    return {
      clock: world.clock,
      entropy: world.entropy,
      storage: this.storage,
      wakeups: this.#wakeups(),
      calls: world.callerOf(this.#object.address, this),
    };
  }

  #wakeups(): Wakeups {
    const { timeline, options } = this.#world;
    const wake = (): void => {
      this.soon = null;
      this.#object.deliver((role) => this.#object.hosting.wake(role));
    };
    return {
      soon: (at) => {
        this.soon?.cancel();
        this.soon = at === null || this.isOver ? null : timeline.at(at, wake);
      },
      durable: (at) => {
        if (options.host === "workers") this.storage.setAlarm(at);
      },
    };
  }
}

export class WorldObject<Role> {
  readonly address: string;
  readonly rows = new DurableRows();
  readonly hosting: Hosting<Role>;
  readonly #world: Environment;
  #life: Life<Role> | null = null;
  #lives = 0;
  #crashAtWrite: Keep | null = null;
  #failsUntil = 0;

  constructor(world: Environment, address: string, hosting: Hosting<Role>) {
    this.#world = world;
    this.address = address;
    this.hosting = hosting;
  }

  get life(): Life<Role> | null {
    return this.#life;
  }

  /** In memory, with nothing before it and nothing held back. */
  get isQuiet(): boolean {
    const life = this.#life;
    return life !== null && life.role !== null && life.inbox.length === 0 && life.storage.isQuiet;
  }

  /** Something happens at the object, which is started for it when it is not in memory. */
  deliver(event: (role: Role, life: Life<Role>) => void): void {
    const life = this.#life ?? this.#begin();
    const run = (role: Role): void => event(role, life);
    if (life.role !== null && life.inbox.length === 0) run(life.role);
    else life.inbox.push(run);
  }

  /** A request that takes a reply: held by the output gate, and never sent when the life ends. */
  serve<Reply>(
    answering: Answering<Reply>,
    work: (role: Role, life: Life<Role>) => Promise<Reply>,
  ): void {
    if (this.#world.timeline.now < this.#failsUntil) return answering.abandon();
    const life = this.#life ?? this.#begin();
    const abandon = (): void => answering.abandon();
    life.busy += 1;
    life.onCrash.add(abandon);
    this.deliver((role) => {
      work(role, life).then(
        (reply) => {
          life.busy -= 1;
          if (life.isOver) return;
          life.output(() => {
            life.onCrash.delete(abandon);
            answering.answer(reply);
          });
        },
        (error: unknown) => this.#world.fail(error),
      );
    });
  }

  /** A call from another object, or from the gate. */
  receive(request: unknown, answering: Answering<Result<unknown>>): void {
    this.#world.trace(() => `${this.address} receives ${JSON.stringify(request)}`);
    this.serve(answering, async (role) => {
      const reply = await this.hosting.handle(role, request);
      return JSON.parse(JSON.stringify(reply)) as Result<unknown>;
    });
  }

  /** Memory and connections are lost; pending writes land or not. */
  crash(keep: Keep): void {
    const life = this.#life;
    if (life === null) return;
    this.#world.trace(() => `${this.address} crashes, keeping ${keep}`);
    this.#endLife(life, keep, "crashed");
    for (const abandon of life.onCrash) abandon();
  }

  /** Crashes while the next write of this object is on its way to disk. */
  crashAtNextWrite(keep: Keep): void {
    this.#crashAtWrite = keep;
  }

  /** Whatever it is asked fails for so long; its connections stay. */
  failFor(ms: number): void {
    this.#failsUntil = this.#world.timeline.now + ms;
  }

  spare(): void {
    this.#crashAtWrite = null;
    this.#failsUntil = 0;
  }

  wrote(): void {
    const keep = this.#crashAtWrite;
    if (keep === null) return;
    this.#crashAtWrite = null;
    const life = this.#life;
    this.#world.timeline.after(this.#world.random.between(0, 3), () => {
      if (this.#life === life) this.crash(keep);
    });
  }

  /** Memory alone is lost, and only when the platform could do that. */
  evict(): boolean {
    const life = this.#life;
    if (life?.canHibernate !== true) return false;
    this.#world.trace(() => `${this.address} is evicted`);
    this.#endLife(life, "all", "evicted");
    return true;
  }

  /** Alarms are at-least-once: one whose handler's writes are not durable yet is tried again. */
  armAlarm(at: number): void {
    this.#world.timeline.at(at, () => {
      if (this.rows.alarm !== at) return;
      const life = this.#life ?? this.#begin();
      const retry = (): void => void this.#world.timeline.after(2_000, () => this.armAlarm(at));
      life.onCrash.add(retry);
      this.deliver((role) => {
        this.hosting.wake(role);
        life.output(() => {
          life.onCrash.delete(retry);
          if (this.rows.alarm === at) this.rows.alarm = null;
        });
      });
    });
  }

  #endLife(life: Life<Role>, keep: Keep, how: "crashed" | "evicted"): void {
    this.#life = null;
    life.isOver = true;
    life.soon?.cancel();
    life.storage.end(keep);
    this.hosting.ended(how);
  }

  #begin(): Life<Role> {
    this.#lives += 1;
    const life = new Life(this.#world, this, this.#lives);
    this.#life = life;
    this.#world.trace(() => `${this.address} starts life ${this.#lives}`);
    this.hosting.start(life).then(
      (role) => {
        if (life.isOver) return;
        // The events that waited follow one by one, each a turn of its own.
        this.#world.timeline.after(0, () => this.#begun(life, role));
      },
      (error: unknown) => this.#world.fail(error),
    );
    return life;
  }

  #begun(life: Life<Role>, role: Role): void {
    if (life.isOver) return;
    life.role = role;
    this.#next(life, role);
  }

  #next(life: Life<Role>, role: Role): void {
    const [event] = life.inbox;
    if (life.isOver || event === undefined) return;
    event(role);
    life.inbox.shift();
    if (life.inbox.length > 0) this.#world.timeline.after(0, () => this.#next(life, role));
  }
}
