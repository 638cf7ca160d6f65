/** Owns what the conductor and a generator process say to each other, and checks it. */

export type Side = "naive" | "ours";

/** One measurement of one side, to be taken by one generator process. */
export interface Job {
  readonly workload: string;
  readonly side: Side;
  readonly port: number;
  readonly serverPid: number;
  /** Where the server's inspector listens, for workloads that ask for it. */
  readonly inspectorPort: number | null;
  readonly room: string;
  readonly isQuick: boolean;
}

/** Figures by name; names carry their units. */
type Metrics = Readonly<Record<string, number>>;

export interface Measurement {
  readonly metrics: Metrics;
  /** Examples of what went wrong, for a person to read. */
  readonly complaints: readonly string[];
}

export type JobResult =
  | { readonly ok: true; readonly measurement: Measurement }
  | {
      readonly ok: false;
      readonly reason: string;
    };

export function isJob(value: unknown): value is Job {
  return (
    isRecord(value) &&
    typeof value["workload"] === "string" &&
    (value["side"] === "naive" || value["side"] === "ours") &&
    typeof value["port"] === "number" &&
    typeof value["serverPid"] === "number" &&
    (value["inspectorPort"] === null || typeof value["inspectorPort"] === "number") &&
    typeof value["room"] === "string" &&
    typeof value["isQuick"] === "boolean"
  );
}

export function isJobResult(value: unknown): value is JobResult {
  if (!isRecord(value)) {
    return false;
  }
  return value["ok"] === true
    ? isRecord(value["measurement"]) &&
        isRecord(value["measurement"]["metrics"]) &&
        Array.isArray(value["measurement"]["complaints"])
    : value["ok"] === false && typeof value["reason"] === "string";
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}
