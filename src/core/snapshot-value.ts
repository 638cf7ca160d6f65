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

/** Whether an array has names beside its indexes, as what `exec` of a pattern gives. */
function isNamed(value: unknown): value is unknown[] {
  if (!Array.isArray(value)) return false;
  // Names come after all indexes.
  const last = Object.keys(value).at(-1);
  return last !== undefined && !(String(Number(last)) === last && Number(last) < value.length);
}

/** What `devalue` leaves to others. */
const reducers = {
  // Also an error, so it comes first.
  DOMException: (value: unknown) =>
    value instanceof DOMException && [value.name, value.message, value.stack],
  Error: (value: unknown) =>
    value instanceof Error && [value.name, value.message, value.stack, value.cause],
  // A player may have given himself this name.
  Entries: (value: unknown) =>
    isPlain(value) && Object.hasOwn(value, "__proto__") && Object.entries(value),
  Named: (value: unknown) => isNamed(value) && [value.length, Object.entries(value)],
};

type Entry = [name: string, value: unknown];
type ErrorParts = [name: string, message: string, stack: string | undefined, cause: unknown];

/**
 * One that holds itself is asked for while its parts are still being read: it is made of those that
 * are there, and completed when it is asked for again.
 */
class Revived<Parts extends object, Value extends object> {
  readonly #values = new WeakMap<Parts, Value>();
  readonly #make: (parts: Parts) => Value;
  readonly #complete: (value: Value, parts: Parts) => void;

  constructor(make: (parts: Parts) => Value, complete: (value: Value, parts: Parts) => void) {
    this.#make = make;
    this.#complete = complete;
  }

  readonly of = (parts: Parts): Value => {
    const value = this.#values.get(parts) ?? this.#make(parts);
    this.#values.set(parts, value);
    this.#complete(value, parts);
    return value;
  };
}

function defineAll(target: object, entries: readonly Entry[]): void {
  // `forEach` leaves out those that have not been read.
  entries.forEach(([name, value]) => {
    const all = { configurable: true, enumerable: true, writable: true };
    Object.defineProperty(target, name, { value, ...all });
  });
}

function createError([name, message]: ErrorParts): Error {
  return isErrorName(name) ? new errors[name](message) : new Error(message);
}

function completeError(error: Error, [, , stack, cause]: ErrorParts): void {
  const hidden = { configurable: true, writable: true };
  Object.defineProperty(error, "stack", { value: stack, ...hidden });
  if (cause !== undefined) Object.defineProperty(error, "cause", { value: cause, ...hidden });
}

const revivers = {
  Entries: new Revived<Entry[], object>(() => ({}), defineAll).of,
  Named: new Revived<[length: number, entries?: Entry[]], unknown[]>(
    () => [],
    (array, [length, entries = []]) => {
      array.length = length;
      defineAll(array, entries);
    },
  ).of,
  Error: new Revived(createError, completeError).of,
  DOMException: new Revived<ErrorParts, Error>(
    ([name, message]) => new DOMException(message, name),
    completeError,
  ).of,
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
