/** A running app as clients and publishers see it: all that the contract suite knows of a host. */
import type { RecordedSocket } from "../support/recorded-socket.ts";

export type OutsideRequest = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** An array goes out piece by piece, without `Content-Length`. */
  readonly body?: string | Uint8Array<ArrayBuffer> | readonly Uint8Array<ArrayBuffer>[];
};

export type OutsideAnswer = {
  /** 101 when a socket was opened; the host has closed it again. */
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
};

export type Upgraded =
  | { readonly socket: RecordedSocket; readonly refused: null }
  | { readonly socket: null; readonly refused: OutsideAnswer };

export interface RoomsHost {
  /** Where the app takes requests, for the titles of tests. */
  readonly name: string;
  /** `undefined` when the app runs without one. */
  readonly adminToken: string | undefined;
  /** Longest query that a socket may bring. */
  readonly maxQueryLength: number;
  /** Whether a path that names no room of a party reaches the app; PartyKit answers it with a bare 404. */
  readonly answersEveryPath: boolean;
  /** Sends a request with the path as it is written. */
  request(path: string, request?: OutsideRequest): Promise<OutsideAnswer>;
  /** Opens a WebSocket. */
  upgrade(path: string, headers?: Readonly<Record<string, string>>): Promise<Upgraded>;
}
