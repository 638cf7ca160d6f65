import { expect, test } from "vitest";
import { FakeSocket } from "../../test/support/fake-socket.ts";
import { plainRequest } from "../shard/clients.ts";
import { parseClientRequest } from "../protocol/client-request.ts";
import { broadcastHookOf, ClientEnds, clientRequestOf } from "./room-class.ts";

const written = { epoch: "e", seq: 1, topic: null, at: 7, isReplay: false };

test.each([
  ["text", "text/plain;charset=UTF-8", [116, 101, 120, 116]],
  [new Uint8Array([0, 255]), "application/octet-stream", [0, 255]],
] as const)(
  "RC3 a write of %s reaches onRequest as a POST of type %s",
  async (data, type, bytes) => {
    const requests: Request[] = [];
    const hook = broadcastHookOf({}, "lobby-1", (request) => requests.push(request));
    expect([hook.canReplay, await hook.onBroadcast?.({ ...written, data })]).toEqual([false, null]);
    const [request] = requests;
    expect([request?.method, request?.headers.get("content-type")]).toEqual(["POST", type]);
    expect([...new Uint8Array((await request?.arrayBuffer()) ?? [])]).toEqual(bytes);
  },
);

test("RC2, RC3 a class's onBroadcast goes before its onRequest, and one with neither has no hook", () => {
  const room = {
    name: "chat",
    onBroadcast({ data }: { data: unknown }) {
      return `${this.name}: ${String(data)}`;
    },
  };
  const { onBroadcast, canReplay } = broadcastHookOf(room, "lobby-1", () => null);
  expect([onBroadcast?.({ ...written, data: "a" }), canReplay]).toEqual(["chat: a", undefined]);
  expect(broadcastHookOf({}, "lobby-1", undefined)).toEqual({});
});

test("PR9 what the class sends to a client of protocol 1 is a local frame, to others itself", () => {
  const said: unknown[] = [];
  const role = {
    protocolClient: () => undefined,
    receive: () => null,
    sendLocal: (...what: readonly unknown[]) => said.push(what),
  };
  const shard: { role?: typeof role } = {};
  const ends = new ClientEnds<FakeSocket>(() => shard.role);
  const [plain, speaker] = [new FakeSocket(), new FakeSocket()];
  expect(ends.open(plain, plainRequest)).toBe(plain);
  const request = clientRequestOf("https://example.com/?protocol=1");
  const end = ends.open(speaker, request);
  for (const socket of [plain, speaker]) socket.send("a");
  end.send("b");
  expect(plain.sent).toEqual(["a"]);
  expect(speaker.sent).toEqual(['{"type":"local","data":"a"}', "b"]);
  shard.role = role;
  speaker.send("c");
  expect([said, speaker.sent.length]).toEqual([[[end, "c"]], 2]);
  expect([ends.close(speaker), ends.close(speaker)]).toEqual([end, speaker]);
});

test.each([
  ["protocol=1&session=s1&topics=a", "%70rotocol=1&%73ession=s1&t%6Fpics=a"],
  ["session=s1", "a=b&sessio%6e=s1"],
])("PR1, SE5 the query %j is understood when its names are encoded, as %j", (query, encoded) => {
  const asked = parseClientRequest(new URLSearchParams(query));
  for (const each of [query, encoded]) {
    expect(clientRequestOf(`https://example.com/lobby?_pk=me&${each}`)).toEqual(
      asked.ok && asked.value,
    );
    expect(parseClientRequest(new URLSearchParams(each))).toEqual(asked);
  }
});
