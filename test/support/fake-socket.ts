/** A socket that keeps what it was sent. Closed by its own end, it takes nothing more. */
import type { Socket } from "../../src/core/ports.ts";
import type { Position } from "../../src/protocol/link.ts";
import type { MessageData } from "../../src/protocol/payload.ts";
import type { IncomingLink } from "../../src/shard/intake.ts";

export class FakeSocket implements Socket {
  readonly sent: MessageData[] = [];
  closedWith: number | null = null;

  send(data: MessageData): void {
    if (this.closedWith === null) this.sent.push(data);
  }

  close(code: number, _reason: string): void {
    this.closedWith ??= code;
  }

  /** What was sent as JSON. */
  get frames(): unknown[] {
    return this.sent.map((data): unknown => JSON.parse(String(data)));
  }
}

/** The shard's end of a link. */
export class FakeLink extends FakeSocket implements IncomingLink {
  position: Position | null;

  constructor(position: Position | null = null) {
    super();
    this.position = position;
  }

  keep(position: Position): void {
    this.position = position;
  }
}
