/**
 * Holds SPEC.md and the tests together: every numbered rule (a line that begins `**DL3** The log …`)
 * starts the title of a test (`test("DL3, DL4 the log …", …)`), and every rule that a title names
 * is in SPEC.md. Skipped and planned tests do not count.
 */
import { globSync, readFileSync } from "node:fs";
import ts from "typescript";

const RULE = /^(?:[-*] )?\*\*([A-Z]{2,3}\d+)\*\*/;
const TAGS = /^[A-Z]{2,3}\d+(?:, [A-Z]{2,3}\d+)*(?![\w,])/;
// Contract suites hold tests too, which their implementations' test files run.
const TEST_FILES = ["{src,client,test,bench}/**/*.test.{ts,tsx}", "test/contract/**/*.ts"];

interface Title {
  readonly text: string;
  readonly position: number;
}

/** The callee's names from left to right: `it.each(rows)` is `["it", "each"]`. */
function calleeNames(callee: ts.Expression): readonly string[] {
  if (ts.isIdentifier(callee)) return [callee.text];
  if (ts.isPropertyAccessExpression(callee)) {
    return [...calleeNames(callee.expression), callee.name.text];
  }
  if (ts.isCallExpression(callee)) return calleeNames(callee.expression);
  if (ts.isTaggedTemplateExpression(callee)) return calleeNames(callee.tag);
  return [];
}

function titlesIn(node: ts.Node): Title[] {
  const titles: Title[] = [];
  if (ts.isCallExpression(node)) {
    const [root, ...modifiers] = calleeNames(node.expression);
    const isTest = root === "test" || root === "it";
    const runs = !modifiers.some((name) => name === "skip" || name === "todo");
    const title = node.arguments[0];
    if (isTest && runs && title !== undefined) {
      const position = title.getStart();
      if (ts.isStringLiteralLike(title)) titles.push({ text: title.text, position });
      else if (ts.isTemplateExpression(title)) titles.push({ text: title.head.text, position });
    }
  }
  ts.forEachChild(node, (child) => {
    titles.push(...titlesIn(child));
  });
  return titles;
}

const problems: string[] = [];

/** Rule id to the place that defines it. */
const rules = new Map<string, string>();
for (const [index, line] of readFileSync("SPEC.md", "utf8").split("\n").entries()) {
  const id = RULE.exec(line)?.[1];
  if (id === undefined) continue;
  const place = `SPEC.md:${index + 1}`;
  const first = rules.get(id);
  if (first === undefined) rules.set(id, place);
  else problems.push(`${place} ${id} is defined already, at ${first}`);
}
if (rules.size === 0) problems.push("SPEC.md has no numbered rules");

const tested = new Set<string>();
const files = globSync(TEST_FILES).toSorted();
for (const file of files) {
  const source = ts.createSourceFile(
    file,
    readFileSync(file, "utf8"),
    ts.ScriptTarget.Latest,
    true,
  );
  for (const { text, position } of titlesIn(source)) {
    for (const id of TAGS.exec(text)?.[0].split(", ") ?? []) {
      tested.add(id);
      const line = source.getLineAndCharacterOfPosition(position).line + 1;
      if (!rules.has(id)) problems.push(`${file}:${line} ${id} is not in SPEC.md`);
    }
  }
}
for (const [id, place] of rules) {
  if (!tested.has(id)) problems.push(`${place} ${id} has no test`);
}

if (problems.length > 0) {
  console.error(problems.join("\n"));
  console.error(`spec: ${problems.length} problems (${rules.size} rules, ${files.length} files)`);
  process.exitCode = 1;
} else {
  console.log(`spec: ${rules.size} rules, each with a test, in ${files.length} files`);
}
