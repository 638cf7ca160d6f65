/** Where the test app's sequencer takes the request to end, from its shards. */
export const crashPath = "crash";
