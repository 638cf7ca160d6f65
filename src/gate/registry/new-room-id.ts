/** Ids of rooms that nobody has named. */
import type { Entropy } from "../../core/ports.ts";
import type { RoomType } from "../../core/rooms.ts";
import { defaultRoomType } from "../../protocol/names.ts";

const alphabet = "0123456789abcdefghijklmnopqrstuvwxyz";
/** 62 bits: a million rooms that are there at once have two of one id once in ten million times. */
const length = 12;

/** An id that no room has, as good as certainly: `game:k3x9…`, and without a type for `default`. */
export function newRoomId({ name }: RoomType, entropy: Entropy): string {
  const draw = (): string => alphabet.charAt(Math.floor(entropy.random() * alphabet.length));
  const id = Array.from({ length }, draw).join("");
  return name === defaultRoomType ? id : `${name}:${id}`;
}
