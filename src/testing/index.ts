/** partyshard/testing: the contracts that an adapter of your own must keep. */
export type { Storage } from "../core/ports.ts";
export {
  storageContract,
  type MakeStorage,
  type StorageCheck,
  type StorageUnderTest,
} from "./storage-contract.ts";
