import fc from "fast-check";
import { expect, test } from "vitest";
import { decodePayload } from "../protocol/payload.ts";
import { readMessages } from "./body.ts";

type Body = {
  readonly chunks: readonly (string | number[])[];
  readonly type?: string;
  readonly declared?: number;
};

/** A request whose body comes in chunks, and what was read of it. */
function requestOf({ chunks, type, declared }: Body) {
  const encoder = new TextEncoder();
  const left = chunks.map((each) => {
    return typeof each === "string" ? encoder.encode(each) : new Uint8Array(each);
  });
  const state = { read: 0, isCancelled: false };
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const next = left.shift();
        if (next === undefined) controller.close();
        else controller.enqueue(next);
        state.read += next?.length ?? 0;
      },
      cancel() {
        state.isCancelled = true;
      },
    },
    { highWaterMark: 0 },
  );
  const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
  if (declared !== undefined) headers["content-length"] = String(declared);
  const init = { method: "POST", body, headers, duplex: "half" };
  return { request: new Request("https://example.com", init), state };
}

const read = (body: Body, maxBytes = 100) => readMessages(requestOf(body).request, maxBytes);
const ndjson = "application/x-ndjson";
const linesOf = (lines: number): Body => ({ chunks: ["a\n".repeat(lines)], type: ndjson });

test.each([undefined, "text/plain", "application/json", "text/plain; charset=utf-8"])(
  "HT1 a body of type %s is one text",
  async (type) => {
    const body = { chunks: ["hé", "llo\n"], ...(type === undefined ? {} : { type }) };
    expect(await read(body)).toEqual({ ok: true, value: ["héllo\n"] });
  },
);

test("HT1 an empty body is one empty text", async () => {
  const request = new Request("https://example.com", { method: "POST" });
  expect(await readMessages(request, 10)).toEqual({ ok: true, value: [""] });
});

test("HT1 a byte order mark is part of the text", async () => {
  const chunks = [[0xef, 0xbb, 0xbf, 0x61]];
  expect(await read({ chunks })).toEqual({ ok: true, value: ["\ufeffa"] });
});

test("RC1 a body of type application/octet-stream is bytes, whatever they are", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(fc.nat(255)), { maxLength: 5 }), async (chunks) => {
      const body = { chunks, type: "Application/Octet-Stream; x=y" };
      const messages = await read(body, 1_000);
      if (!messages.ok) throw new Error(messages.detail);
      const [payload = ""] = messages.value;
      expect(decodePayload(payload)).toEqual(new Uint8Array(chunks.flat()));
    }),
  );
});

test.each([[[0xff]], [[0xc3]], [[0xed, 0xa0, 0x80]]])(
  "HT4 the bytes %j are no text, and refused",
  async (chunk) => {
    expect(await read({ chunks: [chunk] })).toMatchObject({ ok: false, code: "malformed-body" });
  },
);

test("DL10 an NDJSON body is one message a line, in order; empty lines are none", async () => {
  const chunks = ["a\nb", "c\r\n\n", '{"d":1}\n\r\n', "e"];
  const value = ["a", "bc", '{"d":1}', "e"];
  expect(await read({ chunks, type: `${ndjson};charset=utf-8` })).toEqual({ ok: true, value });
});

test.each(["", "\n", "\r\n\n"])(
  "HT4 the NDJSON body %j holds no message, and is refused",
  async (text) => {
    const refused = { ok: false, code: "malformed-body" };
    expect(await read({ chunks: [text], type: ndjson })).toMatchObject(refused);
  },
);

test("HT3 an NDJSON body holds at most 10,000 messages", async () => {
  expect((await read(linesOf(10_000), 1e6)).ok).toBe(true);
  expect(await read(linesOf(10_001), 1e6)).toMatchObject({ code: "payload-too-large" });
});

test("HT3 a body of exactly the limit is taken, and one byte more refused", async () => {
  const chunks = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(chunks, async (sizes) => {
      const bytes = sizes.reduce((sum, size) => sum + size, 0);
      const body = { chunks: sizes.map((size) => "x".repeat(size)) };
      expect(await read(body, bytes)).toEqual({ ok: true, value: ["x".repeat(bytes)] });
      expect(await read(body, bytes - 1)).toMatchObject({ ok: false, code: "payload-too-large" });
    }),
  );
});

test("HT3 a body over the limit is refused while it is read, not after", async () => {
  const { request, state } = requestOf({
    chunks: Array.from({ length: 1_000 }, () => "x".repeat(60)),
  });
  expect(await readMessages(request, 100)).toMatchObject({ code: "payload-too-large" });
  expect(state).toEqual({ read: 120, isCancelled: true });
});

test("HT3 a body that is longer than it says is refused while it is read", async () => {
  const { request, state } = requestOf({
    chunks: Array.from({ length: 1_000 }, () => "x".repeat(60)),
    declared: 10,
  });
  expect(await readMessages(request, 100)).toMatchObject({ code: "payload-too-large" });
  expect(state).toEqual({ read: 120, isCancelled: true });
});

test("HT3 a body that says it is over the limit is not read at all", async () => {
  const headers = { "content-length": "101" };
  const request = new Request("https://example.com", { method: "POST", body: "x", headers });
  expect(await readMessages(request, 100)).toMatchObject({ code: "payload-too-large" });
  expect(request.bodyUsed).toBe(false);
});

test("HT4 a body that breaks off is refused", async () => {
  const body = new ReadableStream({
    pull: (controller) => controller.error(new Error("gone")),
  });
  const request = new Request("https://example.com", {
    method: "POST",
    body,
    duplex: "half",
  } as RequestInit);
  expect(await readMessages(request, 100)).toMatchObject({ code: "malformed-body" });
});
