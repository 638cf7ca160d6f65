/** Which events a subscriber asks for. The only parsing of it. */
import { failure, success, type Result } from "./result.ts";

const maxLength = 256;

/** `*`, an exact type, or a prefix such as `room:*`; several are separated by commas. */
export function parsePattern(text: string): Result<string, "malformed-query"> {
  if (text.length <= maxLength && isPattern(text)) return success(text);
  // Also a socket's reason to close, of at most 123 bytes (RFC 6455, 5.5).
  const detail = `pattern must be *, a type (room:created) or a prefix (room:*), or several with commas`;
  return failure("malformed-query", `${detail}: ${maxLength} characters at most`);
}

function isPattern(text: string): boolean {
  return /^(?:\*|[a-z]+:(?:\*|[a-z]+))(?:,(?:\*|[a-z]+:(?:\*|[a-z]+)))*$/.test(text);
}

export function matchesPattern(pattern: string, type: string): boolean {
  return pattern
    .split(",")
    .some(
      (one) =>
        one === "*" || one === type || (one.endsWith("*") && type.startsWith(one.slice(0, -1))),
    );
}
