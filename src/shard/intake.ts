/**
 * The shard's end of the link: takes the sequencer's frames one after the other, answers them, and
 * keeps the shard's position where it outlives the object's memory. Knows nothing of clients.
 */
import type { Clock, Socket } from "../core/ports.ts";
import { closeCodes, type CloseCode } from "../protocol/close-codes.ts";
import {
  encodeFrame,
  FrameAssembler,
  parseFrameToShard,
  splitFrame,
  type FrameToShard,
  type Position,
} from "../protocol/link.ts";
import { Brake } from "./brake.ts";
import type { Applied, FanOut } from "./fan-out.ts";
import type { Upstream } from "./upstream.ts";

/** The shard's end of a link. The position kept with it outlives the object's memory. */
export interface IncomingLink extends Socket {
  readonly position: Position | null;
  keep(position: Position): void;
}

type Link = { readonly socket: IncomingLink; readonly assembler: FrameAssembler };

export type IntakeOwner = {
  readonly clock: Clock;
  readonly fanOut: FanOut;
  readonly upstream: Upstream;
  readonly count: (what: string) => void;
  /** The clients cannot take more as fast as it comes. */
  readonly isOverrun: (now: number) => boolean;
  /** The position has moved. */
  readonly onApplied: (position: Position) => void;
  /** Continuity was lost for all clients. */
  readonly onReset: () => void;
  /** There is no link now; the position must be kept elsewhere. */
  readonly onEnded: () => void;
  /** The link broke, and the sequencer perhaps with it. */
  readonly onBroken: () => void;
};

export class Intake {
  readonly #owner: IntakeOwner;
  #link: Link | null = null;
  /** Links that ended as they should, or whose end has been seen to. */
  readonly #ended = new WeakSet<IncomingLink>();
  /** Frames wait here while the room class is at work on the one before them. */
  #working: Promise<void> | null = null;
  readonly #brake = new Brake();
  #isOver = false;

  constructor(owner: IntakeOwner) {
    this.#owner = owner;
  }

  get isOpen(): boolean {
    return this.#link !== null;
  }

  /** A link that outlived the object's memory. */
  restore(socket: IncomingLink): void {
    if (socket.position !== null) this.#owner.fanOut.advance(socket.position);
    this.#link = { socket, assembler: new FrameAssembler() };
  }

  /** Takes the place of the link before it, and says what the shard has. */
  open(socket: IncomingLink): void {
    this.#link?.socket.close(closeCodes.replaced, "a newer link took over");
    this.#link = { socket, assembler: new FrameAssembler() };
    this.#brake.letGo();
    const { position } = this.#owner.fanOut;
    if (position !== null) socket.keep(position);
    socket.send(encodeFrame({ type: "hello", position }));
    // What the link before it has not answered goes out on this one.
    this.#owner.upstream.linkEnded();
  }

  /** A promise while the room class is at work on it. */
  receive(socket: IncomingLink, message: string): void | Promise<void> {
    const link = this.#link;
    if (link === null || link.socket !== socket) return;
    const whole = link.assembler.push(message);
    if (whole.ok && whole.value === null) return;
    const frame = whole.ok && whole.value !== null ? parseFrameToShard(whole.value) : whole;
    if (!frame.ok || frame.value === null || typeof frame.value === "string") {
      this.#owner.count("malformed_link_frames");
      this.#giveUp(link, closeCodes.malformedFrame, "malformed frame");
      return;
    }
    return this.#inTurn(link, frame.value);
  }

  /**
   * The link has closed. Unless the sequencer said so before, it broke. It may be one that this
   * object, woken by the event, no longer knows; `isOwed` tells whether its position matters.
   */
  close(socket: IncomingLink, isOwed: boolean): void {
    if (this.#ended.has(socket)) return;
    this.#ended.add(socket);
    if (socket.position !== null && isOwed) this.#owner.fanOut.advance(socket.position);
    if (this.#link !== null && this.#link.socket !== socket) {
      // A link that this object, which has slept, took for a former one may have told it the most.
      const { position } = this.#owner.fanOut;
      if (position !== null) this.#link.socket.keep(position);
      return;
    }
    this.#endLink();
    this.#owner.onBroken();
  }

  /** Nobody is here for what the link brings. */
  hangUp(socket: IncomingLink): void {
    this.#ended.add(socket);
    if (this.#link?.socket === socket) this.#endLink();
    socket.close(closeCodes.noClients, "no clients");
  }

  /** Runs between two batches: frames that come meanwhile wait. */
  between<Value>(work: () => Promise<Value>): Promise<Value> {
    const result = (this.#working ?? Promise.resolve()).then(work);
    void this.#track(result.then(nothing, nothing));
    return result;
  }

  /** The shard is over: nothing more is taken or answered, also of what waits. */
  end(): void {
    this.#isOver = true;
    this.#link?.socket.close(closeCodes.fenced, "the shard is over");
    this.#link = null;
    this.#brake.letGo();
  }

  /** False when there is no link to send on. */
  send(frame: string): boolean {
    if (this.#link === null) return false;
    for (const part of splitFrame(frame)) this.#link.socket.send(part);
    return true;
  }

  /** Clients have taken something or left, or time has passed: a hold may be over. */
  recheck(): void {
    if (this.#brake.until !== null) this.#acknowledge();
  }

  nextDeadline(): number | null {
    return this.#brake.until;
  }

  #inTurn(link: Link, frame: FrameToShard): void | Promise<void> {
    const work =
      this.#working === null
        ? this.#take(link, frame)
        : this.#working.then(() => this.#take(link, frame));
    return work instanceof Promise ? this.#track(work) : undefined;
  }

  #track(work: Promise<void>): Promise<void> {
    const tracked: Promise<void> = work.then(() => {
      if (this.#working === tracked) this.#working = null;
    });
    this.#working = tracked;
    return tracked;
  }

  #take(link: Link, frame: FrameToShard): void | Promise<void> {
    if (this.#isOver) return;
    const { fanOut, upstream } = this.#owner;
    switch (frame.type) {
      case "bye":
        this.#ended.add(link.socket);
        if (this.#link === link) this.#endLink();
        return;
      case "reset":
        this.#owner.count("continuity_lost");
        fanOut.reset({ epoch: frame.epoch, seq: frame.seq });
        this.#owner.onReset();
        this.#answer(link, "applied");
        return;
      case "results":
        upstream.handleResults(frame.epoch, frame.results);
        return;
      case "batch": {
        const applied = fanOut.apply(frame);
        if (!(applied instanceof Promise)) return this.#answer(link, applied);
        return applied.then((result) => this.#answer(link, result));
      }
    }
  }

  #answer(link: Link, applied: Applied): void {
    const { position } = this.#owner.fanOut;
    if (position === null) return;
    this.#confirm(link, applied, position);
    if (applied === "applied") this.#owner.onApplied(position);
  }

  #confirm(link: Link, applied: Applied, position: Position): void {
    if (this.#link !== link) {
      // The link ended while the room class was at work; what clients got since must not be lost.
      if (this.#link === null) this.#owner.onEnded();
      else this.#link.socket.keep(position);
      return;
    }
    if (applied !== "applied") {
      this.#giveUp(link, closeCodes.outOfOrder, `the batch is ${applied}`);
      return;
    }
    link.socket.keep(position);
    this.#acknowledge();
  }

  /** Says what the shard has, unless its clients are to catch up first. */
  #acknowledge(): void {
    const { clock, fanOut, isOverrun } = this.#owner;
    const now = clock.now();
    if (fanOut.position === null) return;
    const wasHeld = this.#brake.until !== null;
    if (this.#brake.holds(isOverrun(now), now)) {
      if (!wasHeld) this.#owner.count("acknowledgements_held");
      return;
    }
    this.#link?.socket.send(encodeFrame({ type: "ack", ...fanOut.position }));
  }

  /** This end closes the link; the next one begins with what the shard has. */
  #giveUp(link: Link, code: CloseCode, reason: string): void {
    this.close(link.socket, true);
    link.socket.close(code, reason);
  }

  #endLink(): void {
    this.#link = null;
    this.#brake.letGo();
    this.#owner.onEnded();
    this.#owner.upstream.linkEnded();
  }
}

function nothing(): void {}
