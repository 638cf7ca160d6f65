/** Answers of the gate: JSON, problem documents, CORS. Knows nothing of what is asked. */
import { problemDocument, type ProblemCode } from "../protocol/problems.ts";

/** A refusal that the gate turns into a problem document. */
export type Refusal = {
  readonly ok: false;
  readonly code: ProblemCode;
  readonly detail: string;
  readonly headers?: Readonly<Record<string, string>>;
};

export function refusal(
  code: ProblemCode,
  detail: string,
  headers?: Readonly<Record<string, string>>,
): Refusal {
  return { ok: false, code, detail, ...(headers === undefined ? {} : { headers }) };
}

/** Only a GET asks for a socket (RFC 6455, section 4.1). */
export function isUpgrade(request: Request): boolean {
  return request.method === "GET" && request.headers.get("upgrade")?.toLowerCase() === "websocket";
}

/** Rooms are public by address: any page may publish and read, as with PartyKit's own parties. */
const corsHeaders = {
  "access-control-allow-origin": "*",
  "access-control-expose-headers": "location, retry-after",
};

export function jsonResponse(value: unknown, status = 200): Response {
  return new Response(JSON.stringify(value), {
    status,
    headers: { ...corsHeaders, "content-type": "application/json" },
  });
}

/** Prometheus text form, version 0.0.4. */
export function metricsResponse(text: string): Response {
  return new Response(text, {
    headers: { ...corsHeaders, "content-type": "text/plain; version=0.0.4; charset=utf-8" },
  });
}

/** The answer to HEAD. */
export function withoutBody({ status, headers, body }: Response): Response {
  // A stream that nobody reads must not go on.
  body?.cancel().catch(() => {});
  return new Response(null, { status, headers });
}

/** Done, and nothing to say. */
export function emptyResponse(): Response {
  return new Response(null, { status: 204, headers: corsHeaders });
}

/** The same answer for pages of any origin. One that opens a socket is not theirs to read. */
export function withCors(response: Response): Response {
  if (response.status === 101) return response;
  const { status, headers } = response;
  const all = new Headers(headers);
  for (const [name, value] of Object.entries(corsHeaders)) all.set(name, value);
  return new Response(response.body, { status, headers: all });
}

export function problemResponse({ code, detail, headers }: Refusal): Response {
  const document = problemDocument(code, detail);
  const retry = document.status === 503 ? { "retry-after": "2" } : {};
  return new Response(JSON.stringify(document), {
    status: document.status,
    headers: {
      ...corsHeaders,
      "content-type": "application/problem+json",
      ...retry,
      ...headers,
    },
  });
}

/** The answer to a CORS preflight; allowed for a day. */
export function preflightResponse(methods: string): Response {
  return new Response(null, {
    status: 204,
    headers: {
      ...corsHeaders,
      "access-control-allow-methods": methods,
      "access-control-allow-headers": "authorization, content-type, idempotency-key",
      "access-control-max-age": "86400",
    },
  });
}
