/**
 * The link between a sequencer and a shard of one process: in order, and each event in a turn of its
 * own, as over a socket. Knows nothing of frames.
 */
import type { LinkEvents, Socket } from "../../core/ports.ts";
import type { Position } from "../../protocol/link.ts";
import type { IncomingLink } from "../../shard/intake.ts";

/** As much of a shard as takes links. */
export type LinkTaker = {
  handleLinkOpen(link: IncomingLink): void;
  handleLinkMessage(link: IncomingLink, text: string): void | Promise<void>;
  handleLinkClose(link: IncomingLink): void;
};

/** Opens a link: its events come in later turns. What an end throws goes to `onError`. */
export function openLocalLink(
  shard: LinkTaker,
  events: LinkEvents,
  onError: (error: unknown) => void,
): Socket {
  let position: Position | null = null;
  let isClosed = false;
  const later = (event: () => void | Promise<void>): void => {
    setImmediate(() => {
      try {
        Promise.resolve(event()).catch(onError);
      } catch (error) {
        onError(error);
      }
    });
  };
  const close = (code: number): void => {
    if (isClosed) return;
    isClosed = true;
    later(() => {
      shard.handleLinkClose(incoming);
      events.close(code);
    });
  };
  const incoming: IncomingLink = {
    get position() {
      return position;
    },
    keep: (to) => {
      position = to;
    },
    send: (data) => {
      if (!isClosed) later(() => events.message(String(data)));
    },
    close,
  };
  later(() => shard.handleLinkOpen(incoming));
  return {
    send: (data) => {
      if (!isClosed) later(() => shard.handleLinkMessage(incoming, String(data)));
    },
    close,
  };
}
