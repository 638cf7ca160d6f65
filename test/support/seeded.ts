/**
 * Properties and schedules draw on this seed, so that every run of the tests is the same run, and what
 * fails fails again. `SIM_SEED` is another; `npm run soak` takes one that has not been before.
 */
import fc from "fast-check";

const given = process.env["SIM_SEED"];

fc.configureGlobal({ seed: given === undefined ? 1 : Number(given) });
