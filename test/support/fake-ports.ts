/** Every port of an object at once, each a fake. */
import type { Wakeups } from "../../src/core/ports.ts";
import { FakeCalls } from "./fake-calls.ts";
import { FakeClock } from "./fake-clock.ts";
import { FakeDialer } from "./fake-dialer.ts";
import { FakeEntropy } from "./fake-entropy.ts";
import { FakeStorage } from "./fake-storage.ts";

class FakeWakeups implements Wakeups {
  at: number | null = null;
  durableAt: number | null = null;

  soon(at: number | null): void {
    this.at = at;
  }

  durable(at: number): void {
    this.durableAt = at;
  }
}

export function fakePorts() {
  return {
    clock: new FakeClock(),
    entropy: new FakeEntropy(),
    storage: new FakeStorage(),
    wakeups: new FakeWakeups(),
    calls: new FakeCalls(),
    dialer: new FakeDialer(),
    registry: "default",
  };
}

export type FakePorts = ReturnType<typeof fakePorts>;
