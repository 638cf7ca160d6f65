/**
 * A room's state as text and back: everything that structured clone can carry. Knows nothing of
 * where the text is kept. The first line says of which room type and in which form it is.
 */
import { parse, stringify } from "devalue";
import * as v from "valibot";
import { failure, success, type Result } from "../protocol/result.ts";

/** Rises when texts of before cannot be read any more; also with `devalue`, which promises nothing. */
const format = 1;

const headSchema = v.object({ format: v.number(), roomType: v.string() });

/** The errors that structured clone knows; others come back as `Error`. */
const errors = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError } as const;

function isErrorName(name: string): name is keyof typeof errors {
  return Object.hasOwn(errors, name);
}

function isPlain(value: unknown): value is object {
  return (
    typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype
  );
}

/** What `devalue` leaves to others. */
const reducers = {
  Error: (value: unknown) =>
    value instanceof Error && [value.name, value.message, value.stack, value.cause],
  // A player may have given himself this name.
  Entries: (value: unknown) =>
    isPlain(value) && Object.hasOwn(value, "__proto__") && Object.entries(value),
};
const revivers = {
  Entries: (entries: [string, unknown][]) => Object.fromEntries(entries),
  Error: ([name, message, stack, cause]: [string, string, string | undefined, unknown]) => {
    const Kind = isErrorName(name) ? errors[name] : Error;
    const error = new Kind(message, cause === undefined ? {} : { cause });
    Object.defineProperty(error, "stack", { value: stack, configurable: true, writable: true });
    return error;
  },
};

/** Copies the value first, so that what cannot be cloned is refused as the platform refuses it. */
export function encodeSnapshot(
  roomType: string,
  value: unknown,
): Result<string, "snapshot-impossible"> {
  try {
    const text = stringify(structuredClone(value), reducers);
    return success(`${JSON.stringify({ format, roomType })}\n${text}`);
  } catch (error) {
    return failure("snapshot-impossible", `the state cannot be cloned: ${String(error)}`);
  }
}

export function decodeSnapshot(
  roomType: string,
  text: string,
): Result<unknown, "snapshot-foreign" | "snapshot-damaged"> {
  const end = text.indexOf("\n");
  try {
    const head = v.safeParse(headSchema, JSON.parse(text.slice(0, end)));
    if (!head.success) return failure("snapshot-damaged", "the snapshot has no head");
    const { format: form, roomType: of } = head.output;
    if (form !== format) {
      return failure(
        "snapshot-foreign",
        `the snapshot has form ${form}, this code reads ${format}`,
      );
    }
    if (of !== roomType) {
      return failure("snapshot-foreign", `the snapshot is of a "${of}", not of a "${roomType}"`);
    }
    return success(parse(text.slice(end + 1), revivers));
  } catch (error) {
    return failure("snapshot-damaged", `the snapshot cannot be read: ${String(error)}`);
  }
}
