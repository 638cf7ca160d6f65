/** The registry's figures, and whether there is anybody to ask. */
import { hub } from "../../core/partitions.ts";
import { jsonResponse, metricsResponse, type Refusal } from "../http.ts";
import { askPartition } from "./partitions.ts";
import type { Ask } from "./route.ts";

/** Those of all partitions, which the hub adds up (Prometheus text format 0.0.4). */
export async function metrics({ ports, reportCounters }: Ask): Promise<Response | Refusal> {
  await reportCounters();
  const answer = await askPartition(ports, hub, { type: "metrics" });
  if (!answer.ok) return answer;
  return metricsResponse(answer.value.text);
}

/** Whether the Worker answers; no object is asked. */
export async function health(): Promise<Response> {
  return jsonResponse({ status: "ok" });
}
