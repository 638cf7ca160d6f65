/** Calls to other objects, answered by the test and kept for it. */
import type { Address, Caller } from "../../src/core/ports.ts";
import type { ReplyTo, RequestTo, Role } from "../../src/protocol/calls.ts";
import { failure, type Result } from "../../src/protocol/result.ts";

export type AnyRequest = { [R in Role]: RequestTo<R> }[Role];
export type Call = { readonly role: Role; readonly id: string; readonly request: AnyRequest };
export type Answer = Result<unknown>;

/** A call whose answer was lost. */
export const lost = failure("unreachable", "the answer was lost");

export class FakeCalls implements Caller {
  readonly made: Call[] = [];
  /** Set it anew to answer otherwise. */
  answer: (call: Call) => Answer | Promise<Answer>;

  constructor(answer: (call: Call) => Answer | Promise<Answer> = () => lost) {
    this.answer = answer;
  }

  async call<R extends Role, Request extends RequestTo<R>>(to: Address<R>, request: Request) {
    const call: Call = { role: to.role, id: to.id, request: structuredClone(request) };
    this.made.push(call);
    const answer = await this.answer(call);
    return answer as Result<ReplyTo<R, Request>>;
  }

  /** The requests of one type, in order. */
  of<Type extends AnyRequest["type"]>(type: Type): Extract<AnyRequest, { type: Type }>[] {
    return this.made
      .map(({ request }) => request)
      .filter((request): request is Extract<AnyRequest, { type: Type }> => request.type === type);
  }
}
