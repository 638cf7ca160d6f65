/** partyshard/testing: the contracts that an adapter of your own must keep. */
export {
  storageContract,
  type MakeStorage,
  type StorageCheck,
  type StorageUnderTest,
} from "./storage-contract.ts";
