/** A Worker whose configuration is not complete. */
import { env } from "cloudflare:workers";
import { expect, test } from "vitest";
import { router, routeRooms, type Bindings } from "../../src/host/partyserver/index.ts";
import { rooms } from "../../src/rooms.ts";

// As in a Worker's own file.
router(rooms);

test.each(["Main", "Router", "Registry"] as const)(
  "HT14 without the binding %s every request is told so",
  async (name) => {
    const { [name]: _, ...rest } = env;
    for (const path of ["router/room", "registry/default/health"]) {
      const request = new Request(`http://rooms.test/parties/${path}`);
      // As the platform gives it, whatever its type says.
      const answer = await routeRooms(request, rest as unknown as Bindings);
      expect(answer.status).toBe(501);
      expect(await answer.text()).toContain(`binding \`${name}\` is missing`);
    }
  },
);
