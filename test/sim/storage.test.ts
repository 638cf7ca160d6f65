/** The simulator's storage keeps the port's contract, whichever of the pending writes a crash lets land. */
import { describe } from "vitest";
import { describeStorage } from "../contract/storage-contract.ts";
import { Random } from "./random.ts";
import { DurableRows, SimulatedStorage, type Keep } from "./storage.ts";
import { Timeline } from "./timeline.ts";

/** Longer than any write takes. */
const settleMs = 1_000;

for (const keep of ["none", "some", "all"] as const satisfies Keep[]) {
  describe(`a crash keeps ${keep}`, () => {
    describeStorage(() => {
      const rows = new DurableRows();
      const timeline = new Timeline();
      const random = new Random(1);
      const open = (): SimulatedStorage =>
        new SimulatedStorage({
          rows,
          timeline,
          random,
          maxTextUnits: 60_000,
          isGateBroken: false,
          onWrite: () => {},
          onDurable: () => {},
          onAlarm: () => {},
        });
      let storage = open();
      return {
        run: async (use) => {
          const used = Promise.resolve(use(storage));
          const event = { isOver: false };
          const end = (): void => void (event.isOver = true);
          used.then(end, end);
          while (!event.isOver) await timeline.advance(settleMs, () => {});
          return used;
        },
        crash: async () => {
          storage.end(keep);
          storage = open();
        },
      };
    });
  });
}
