/**
 * WebSockets of the `ws` package: upgrades that are refused are answered with a problem, sockets that
 * went away without a word are found by pings. Decides nothing.
 */
import { STATUS_CODES, type IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { WebSocket, WebSocketServer } from "ws";
import { problemDocument, type ProblemCode } from "../../protocol/problems.ts";
import type { Failure, Result } from "../../protocol/result.ts";
import type { Admission } from "./room-entrance.ts";

/** A frame that carries a message of 1 MiB as base64 fits. */
const maxPayload = 2 * 1024 * 1024;
/** A socket that answers no ping until the next one is dead. */
const pingMs = 15_000;

export class UpgradeServer {
  readonly #admit: (target: string) => Promise<Result<Admission, ProblemCode>>;
  readonly #onError: (error: unknown) => void;
  #server: WebSocketServer | null = null;
  #pinging: ReturnType<typeof setInterval> | null = null;
  #silent = new Set<WebSocket>();

  constructor(
    admit: (target: string) => Promise<Result<Admission, ProblemCode>>,
    onError: (error: unknown) => void,
  ) {
    this.#admit = admit;
    this.#onError = onError;
  }

  handle(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    // Without a listener an error of the connection would end the process.
    socket.on("error", () => socket.destroy());
    this.#upgrade(request, socket, head).catch((error: unknown) => {
      this.#onError(error);
      socket.destroy();
    });
  }

  /** Sockets that have not closed by themselves are cut off. */
  close(): void {
    if (this.#pinging !== null) clearInterval(this.#pinging);
    this.#pinging = null;
    for (const socket of this.#server?.clients ?? []) socket.terminate();
    this.#server?.close();
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const admitted = await this.#admit(request.url ?? "/");
    if (!admitted.ok) return refuse(socket, admitted);
    const admission = admitted.value;
    // Loaded when it is needed: who takes sockets of another kind need not have it.
    const ws = this.#server === null ? await import("ws") : null;
    if (ws !== null) this.#server ??= new ws.WebSocketServer({ noServer: true, maxPayload });
    if (socket.destroyed) return admission.abandon();
    // An upgrade that is malformed is answered by `ws`, which then calls nobody.
    const abandon = (): void => admission.abandon();
    socket.once("close", abandon);
    this.#server?.handleUpgrade(request, socket, head, (webSocket) => {
      socket.off("close", abandon);
      this.#watch(webSocket);
      admission.accept(webSocket);
    });
  }

  #watch(socket: WebSocket): void {
    socket.on("pong", () => this.#silent.delete(socket));
    socket.on("message", () => this.#silent.delete(socket));
    this.#pinging ??= setInterval(() => this.#ping(), pingMs).unref();
  }

  #ping(): void {
    for (const socket of this.#silent) socket.terminate();
    this.#silent = new Set(this.#server?.clients);
    for (const socket of this.#silent) socket.ping();
  }
}

function refuse(socket: Duplex, { code, detail }: Failure<ProblemCode>): void {
  const problem = problemDocument(code, detail);
  const body = JSON.stringify(problem);
  const head = [
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status] ?? "Refused"}`,
    "content-type: application/problem+json",
    `content-length: ${Buffer.byteLength(body)}`,
    ...(problem.status === 503 ? ["retry-after: 2"] : []),
    "connection: close",
  ];
  socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
}
