/** The room as its class sees it: without the links, which PartyKit counts among the connections. */
import type * as Party from "partykit/server";
import { linkPath } from "../platform.ts";

export function roomWithoutLinks(room: Party.Room): Party.Room {
  function* getConnections<State>(tag?: string): Iterable<Party.Connection<State>> {
    for (const connection of room.getConnections<State>(tag)) {
      if (!new URL(connection.uri).pathname.endsWith(`/${linkPath}`)) yield connection;
    }
  }
  const visible: Pick<Party.Room, "broadcast" | "connections" | "getConnections"> = {
    getConnections,
    broadcast: (message, without = []) => {
      for (const connection of getConnections()) {
        if (!without.includes(connection.id)) connection.send(message);
      }
    },
    get connections() {
      return new Map(Array.from(getConnections(), (each) => [each.id, each]));
    },
  };
  const properties = Object.getOwnPropertyDescriptors(visible);
  return Object.create(room, properties) as Party.Room;
}
