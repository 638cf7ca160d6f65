/**
 * One request to the registry's HTTP API: address, token, deadline. Never rejects; tries once.
 * Knows nothing of what is asked.
 */
import { problemDocument, type ProblemDocument } from "../src/protocol/problems.ts";
import { readResponse, unavailable, type RegistryResult } from "./registry-result.ts";

export type Query = Readonly<Record<string, string | undefined>>;

export type RegistryConnection = {
  /**
   * The deployment, such as `https://rooms.example.com`. May be left out with `fetch`.
   */
  readonly url?: string;
  /**
   * Answers requests in place of the global `fetch`: a service binding, `routeRooms` of the same
   * Worker, or a local registry.
   */
  readonly fetch?: (request: Request) => Promise<Response>;
  /** The deployment's `PARTYSHARD_ADMIN_TOKEN`. */
  readonly token?: string;
  /** How long a call may take, ms. Default 10,000. */
  readonly timeoutMs?: number;
};

const defaultTimeoutMs = 10_000;
/** For `fetch` of the own process, which looks at the path only. */
const internalUrl = "https://partyshard.internal";

export class RegistryHttp {
  readonly #base: string;
  readonly #fetch: (request: Request) => Promise<Response>;
  readonly #token: string | undefined;
  readonly #timeoutMs: number;

  constructor({ url, fetch: fetcher, token, timeoutMs = defaultTimeoutMs }: RegistryConnection) {
    if (url === undefined && fetcher === undefined) throw new TypeError("give a url or a fetch");
    this.#base = new URL("/parties/registry/default/", url ?? internalUrl).href;
    this.#fetch = fetcher ?? ((request) => fetch(request));
    this.#token = token;
    this.#timeoutMs = timeoutMs;
  }

  /** `path` below the registry; its parts must be encoded. */
  address(path: string, query: Query = {}): string {
    const url = new URL(path, this.#base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, value);
    }
    return url.href;
  }

  get headers(): Record<string, string> {
    return this.#token === undefined ? {} : { authorization: `Bearer ${this.#token}` };
  }

  async call<Value>(
    method: string,
    path: string,
    isValue: (value: unknown) => value is Value,
    { body, query }: { readonly body?: unknown; readonly query?: Query } = {},
  ): Promise<RegistryResult<Value>> {
    // It would be another path.
    if (path.split("/").includes("")) {
      return { ok: false, problem: problemDocument("malformed-name", "an id must not be empty") };
    }
    const type = body === undefined ? {} : { "content-type": "application/json" };
    const init = body === undefined ? {} : { body: JSON.stringify(body) };
    const headers = { ...this.headers, ...type };
    const { signal, late, clear } = deadline(this.#timeoutMs);
    const asked = async (): Promise<RegistryResult<Value>> => {
      const request = new Request(this.address(path, query), { method, headers, signal, ...init });
      return readResponse(await this.#fetch(request), isValue);
    };
    try {
      return await Promise.race([asked(), late]);
    } catch (error) {
      return unavailable(error instanceof Error ? describe(error) : String(error));
    } finally {
      clear();
    }
  }

  /** A response that goes on, such as a stream of events, or why there is none. */
  async open(
    path: string,
    query: Query,
    accept: string,
    signal: AbortSignal,
  ): Promise<RegistryResult<Response>> {
    const { signal: expiry, late, clear } = deadline(this.#timeoutMs);
    const headers = { ...this.headers, accept };
    const both = AbortSignal.any([expiry, signal]);
    try {
      const request = new Request(this.address(path, query), { headers, signal: both });
      const response = await Promise.race([this.#fetch(request), late]);
      if (response.ok) return { ok: true, value: response };
      return await readResponse(response, isNever);
    } catch (error) {
      return unavailable(error instanceof Error ? describe(error) : String(error));
    } finally {
      clear();
    }
  }
}

/** Whether asking again, later, may have another answer. */
export function mayRetry({ status }: ProblemDocument): boolean {
  return status >= 500 || status === 429;
}

function deadline(timeoutMs: number): {
  signal: AbortSignal;
  late: Promise<never>;
  clear: () => void;
} {
  const controller = new AbortController();
  const { promise: late, reject } = Promise.withResolvers<never>();
  late.catch(() => {});
  const timer = setTimeout(() => {
    const error = new Error(`no answer within ${timeoutMs} ms`);
    controller.abort(error);
    reject(error);
  }, timeoutMs);
  return { signal: controller.signal, late, clear: () => clearTimeout(timer) };
}

/** `fetch` says "fetch failed" and hides why in its cause. */
function describe(error: Error): string {
  const cause = error.cause instanceof Error ? `: ${error.cause.message}` : "";
  return `the registry cannot be reached: ${error.message}${cause}`;
}

function isNever(_value: unknown): _value is never {
  return false;
}
