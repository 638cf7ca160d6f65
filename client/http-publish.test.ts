import { expect, test, vi } from "vitest";
import { postOnce } from "./http-publish.ts";

const url = Promise.resolve("http://localhost/parties/router/lobby");
const post = { url, id: "i", data: "x" };
const problem = { type: "urn:x", title: "t", status: 422, detail: "d" };

function answering(response: Response | Error): typeof fetch {
  return async () => {
    if (response instanceof Error) throw response;
    return response;
  };
}

async function failing(): Promise<never> {
  throw new Error("no token");
}

const aborting: typeof fetch = async (_, init) => {
  init?.signal?.throwIfAborted();
  return Response.json({ epoch: "e", seq: 7 });
};

test.each([200, 202])("CL10 with %i the message has its place", async (status) => {
  const response = Response.json({ room: "lobby", epoch: "e", seq: 7, shards: {} }, { status });
  const value = { epoch: "e", seq: 7 };
  expect(await postOnce(answering(response), post)).toEqual({ ok: true, value });
});

test.each([
  ["no JSON", new Response("<html>")],
  ["no place", Response.json({ room: "lobby" })],
  ["a place that is none", Response.json({ epoch: 1, seq: "7" })],
  ["null", Response.json(null)],
  ["a failed request", new TypeError("fetch failed")],
])("CL10 %s is no answer", async (_, response) => {
  expect(await postOnce(answering(response), post)).toEqual({ ok: false });
});

test("CL10 an address that cannot be made is no answer", async () => {
  expect(await postOnce(fetch, { ...post, url: failing() })).toEqual({ ok: false });
});

test("CL10 a request that takes too long is no answer", async () => {
  const timeout = vi.spyOn(AbortSignal, "timeout").mockReturnValue(AbortSignal.abort());
  expect(await postOnce(aborting, post)).toEqual({ ok: false });
  expect(timeout).toHaveBeenCalledWith(15_000);
  timeout.mockRestore();
});

test("CL10 a refusal brings its problem document", async () => {
  const response = Response.json(problem, { status: 422 });
  expect(await postOnce(answering(response), post)).toEqual({
    ok: false,
    problem,
    retryAfterMs: 0,
  });
});

test("CL10 a refusal without a problem document has one made of its status", async () => {
  const response = new Response("<html>", { status: 502, statusText: "Bad Gateway" });
  const made = { type: "about:blank", title: "Bad Gateway", status: 502, detail: "" };
  expect(await postOnce(answering(response), post)).toMatchObject({ ok: false, problem: made });
});

test.each([
  ["2", 2_000],
  ["0", 0],
  ["Wed, 01 Jan 2020 00:00:30 GMT", 30_000],
  ["Wed, 01 Jan 2020 00:00:00 GMT", 0],
  ["soon", 0],
])("CL10 Retry-After: %s is %i ms", async (value, retryAfterMs) => {
  vi.useFakeTimers({ now: Date.UTC(2020, 0, 1) });
  const response = Response.json(problem, { status: 503, headers: { "retry-after": value } });
  expect(await postOnce(answering(response), post)).toMatchObject({ retryAfterMs });
  vi.useRealTimers();
});
