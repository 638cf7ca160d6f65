/**
 * What one shard was sent and what it has acknowledged. Knows nothing of links or of the log.
 */

/** UTF-16 units sent and not acknowledged, past which the shard is sent nothing more. */
const windowUnits = 1024 * 1024;

export class SendWindow {
  #acked: number;
  #sent: number;
  #outstanding: { readonly through: number; readonly units: number; readonly at: number }[] = [];
  #units = 0;

  constructor(acked: number) {
    this.#acked = acked;
    this.#sent = acked;
  }

  /** The shard has every message up to this one. */
  get acked(): number {
    return this.#acked;
  }

  /** The shard was sent, on the present link, every message up to this one. */
  get sent(): number {
    return this.#sent;
  }

  get isFull(): boolean {
    return this.#units >= windowUnits;
  }

  /** When the oldest of what was not acknowledged was sent; `null` when all was. */
  get waitingSince(): number | null {
    return this.#outstanding[0]?.at ?? null;
  }

  send(through: number, units: number, at: number): void {
    if (through > this.#acked) {
      this.#outstanding.push({ through, units, at });
      this.#units += units;
    }
    this.#sent = through;
  }

  /** Whether this told anything new. */
  acknowledge(seq: number): boolean {
    if (seq <= this.#acked) return false;
    this.#acked = seq;
    while (this.#outstanding[0] !== undefined && this.#outstanding[0].through <= seq) {
      this.#units -= this.#outstanding[0].units;
      this.#outstanding.shift();
    }
    return true;
  }

  /** A new link begins: nothing is on its way, and the shard has what it says. */
  restart(acked: number): void {
    this.#acked = acked;
    this.#sent = acked;
    this.#outstanding = [];
    this.#units = 0;
  }
}
