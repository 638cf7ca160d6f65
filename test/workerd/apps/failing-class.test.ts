/** A room class that fails before its socket is accepted. */
import { expect, test } from "vitest";
import { publishDelivered, TestClient } from "../client.ts";

test("AD3, RC8 a class that throws what is no error before its socket is accepted loses no place", async () => {
  const room = "single:that-throws";
  for (let times = 0; times < 3; times += 1) {
    await expect(TestClient.connect(room, "?throw=words")).rejects.toThrow("no socket: 503");
  }
  const client = await TestClient.connect(room);
  await publishDelivered(room, "still here");
  await client.receives(1);
});
