/** The links that the sequencer dials: which are taken, and when. Knows nothing of what they carry. */
import { closeCodes } from "../protocol/close-codes.ts";
import type { Clients } from "./clients.ts";
import { EarlyLinks } from "./early-links.ts";
import type { IncomingLink, Intake } from "./intake.ts";
import type { LoadReporter } from "./load-reporter.ts";
import type { Renewal } from "./renewal.ts";
import type { Service } from "./service.ts";
import type { Subscription } from "./subscription.ts";

export type LinksOwner = {
  readonly service: Service;
  readonly clients: Clients;
  readonly subscription: Subscription;
  readonly renewal: Renewal;
  readonly intake: Intake;
  readonly reporter: LoadReporter;
};

export class Links {
  readonly #owner: LinksOwner;
  readonly #early = new EarlyLinks();

  constructor(owner: LinksOwner) {
    this.#owner = owner;
  }

  open(socket: IncomingLink): void {
    const { service, clients, subscription, renewal, intake, reporter } = this.#owner;
    if (service.isOver) return socket.close(closeCodes.fenced, "the shard is over");
    if (clients.isEmpty && subscription.isNone) {
      socket.close(closeCodes.noClients, "no clients");
      return;
    }
    renewal.linked();
    // It takes the place of one that must have broken.
    if (intake.isOpen) reporter.linkEnded(true);
    const { beginning } = subscription;
    if (beginning === null) return intake.open(socket);
    // Where former clients were means nothing to those on their way: the answer tells where the shard
    // begins, and a link that knew less would be sent what lies before it, or a reset.
    this.#early.wait(socket, beginning, (link) => {
      if (subscription.id === null) link.close(closeCodes.noClients, "no clients");
      else intake.open(link);
    });
  }

  receive(socket: IncomingLink, message: string): void | Promise<void> {
    const { service, clients, subscription, reporter, intake } = this.#owner;
    if (service.isOver) return;
    // The sequencer may not have heard that nobody is here, and a link that is used is never hung up.
    if (clients.isEmpty && subscription.isNone) return intake.hangUp(socket);
    reporter.used();
    return intake.receive(socket, message);
  }

  close(socket: IncomingLink): void {
    const { service, clients, intake } = this.#owner;
    if (this.#early.delete(socket) || service.isOver) return;
    intake.close(socket, clients.size > 0);
  }

  /** The shard is over. */
  end(): void {
    this.#owner.intake.end();
    this.#early.end();
  }
}
