/** The figures of all partitions as those of one registry (Prometheus text format 0.0.4). */
import { jsonResponse, textResponse, type Refusal } from "../http.ts";
import { askAll } from "./partitions.ts";
import type { Ask } from "./route.ts";

export async function metrics(ask: Ask): Promise<Response | Refusal> {
  await ask.reportCounters();
  const answer = await askAll(ask, { type: "metrics" });
  if (!answer.ok) return answer;
  const text = sumMetrics(answer.value.map((each) => each.text));
  return textResponse(text, "text/plain; version=0.0.4; charset=utf-8");
}

/** Whether the Worker answers; no object is asked. */
export async function health(): Promise<Response> {
  return jsonResponse({ status: "ok" });
}

type Family = { readonly comments: string[]; readonly samples: Map<string, number> };

/** Adds up the samples with the same name and labels, family by family. One text stays as it is. */
export function sumMetrics(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const line of texts.flatMap((text) => text.split("\n"))) {
    if (line === "") continue;
    const name = /^(?:# (?:HELP|TYPE) )?([a-zA-Z_:][\w:]*)/.exec(line)?.[1] ?? "";
    const family = families.get(name) ?? { comments: [], samples: new Map<string, number>() };
    families.set(name, family);
    if (line.startsWith("#")) {
      if (!family.comments.includes(line)) family.comments.push(line);
      continue;
    }
    const end = line.lastIndexOf(" ");
    const sample = line.slice(0, end);
    family.samples.set(sample, (family.samples.get(sample) ?? 0) + Number(line.slice(end + 1)));
  }
  const lines = [...families.values()].flatMap(({ comments, samples }) => [
    ...comments,
    ...[...samples].map(([sample, value]) => `${sample} ${value}`),
  ]);
  return lines.map((line) => `${line}\n`).join("");
}
