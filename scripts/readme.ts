/**
 * Type-checks README.md: every block of TypeScript is a program of its own, against the package's
 * sources, so that what a reader copies compiles. A line `// src/NAME.ts` begins a file of its block;
 * `./rooms.ts` is the app's where a block has none.
 */
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";

const root = fileURLToPath(new URL("..", import.meta.url));
const readme = "README.md";

/** What the text around the blocks has named. */
const surroundings = join(root, "README", "surroundings.d.ts");
const declared = `
declare const host: string;
declare function show(data: unknown): void;
`;

const entries = {
  partyshard: ["./src/index.ts"],
  "partyshard/partykit": ["./src/host/partykit/index.ts"],
  "partyshard/partyserver": ["./src/host/partyserver/index.ts"],
  "partyshard/node": ["./src/host/node/index.ts"],
  "partyshard/client": ["./client/room-socket.ts"],
  "partyshard/react": ["./client/react.ts"],
  "partyshard/registry-client": ["./client/registry-client.ts"],
};

const options: ts.CompilerOptions = {
  strict: true,
  noImplicitOverride: true,
  noEmit: true,
  skipLibCheck: true,
  allowImportingTsExtensions: true,
  target: ts.ScriptTarget.ES2024,
  lib: ["lib.es2024.d.ts"],
  types: ["@cloudflare/workers-types", "node"],
  module: ts.ModuleKind.ESNext,
  moduleResolution: ts.ModuleResolutionKind.Bundler,
  moduleDetection: ts.ModuleDetectionKind.Force,
  paths: Object.fromEntries(
    Object.entries(entries).map(([name, [to = ""]]) => [name, [join(root, to)]]),
  ),
};

type Snippet = { readonly text: string; readonly line: number };

/** By path: the files of every block, and where in the README each begins. */
function snippetsOf(markdown: string): Map<string, Snippet> {
  const files = new Map<string, Snippet>();
  const lines = markdown.split("\n");
  let block = 0;
  let path: string | null = null;
  for (const [index, line] of lines.entries()) {
    if (path === null && line === "```ts") {
      block += 1;
      path = join(root, "README", String(block), "block.ts");
      continue;
    }
    if (path === null) continue;
    if (line === "```") {
      path = null;
      continue;
    }
    const name = /^\/\/ src\/([\w-]+\.ts)\b/.exec(line)?.[1];
    if (name !== undefined) path = join(dirname(path), name);
    const known: Snippet = files.get(path) ?? { text: "", line: index };
    files.set(path, { ...known, text: `${known.text}${line}\n` });
  }
  return files;
}

function inBlock(path: string): boolean {
  return path.startsWith(`${join(root, "README")}/`);
}

/** A host that has the blocks beside the files on disk. */
function hostOf(snippets: ReadonlyMap<string, Snippet>): ts.CompilerHost {
  const disk = ts.createCompilerHost(options);
  const textOf = (path: string): string | undefined => {
    if (path === surroundings) return declared;
    if (inBlock(path) && path.endsWith("/rooms.ts") && !snippets.has(path)) {
      return 'export { rooms } from "../../src/rooms.ts";';
    }
    return snippets.get(path)?.text;
  };
  return {
    ...disk,
    directoryExists: (path) => inBlock(`${path}/`) || disk.directoryExists?.(path) !== false,
    fileExists: (path) => textOf(path) !== undefined || disk.fileExists(path),
    readFile: (path) => textOf(path) ?? disk.readFile(path),
    getSourceFile: (path, how, ...more) => {
      const text = textOf(path);
      if (text === undefined) return disk.getSourceFile(path, how, ...more);
      return ts.createSourceFile(path, text, how);
    },
  };
}

function problemsIn(snippets: ReadonlyMap<string, Snippet>): string[] {
  const paths = [...snippets.keys()];
  const program = ts.createProgram([...paths, surroundings], options, hostOf(snippets));
  return paths.flatMap((path) => {
    const file = program.getSourceFile(path);
    // Of the blocks alone: the sources are checked under the options of their own.
    const found = [
      ...program.getSyntacticDiagnostics(file),
      ...program.getSemanticDiagnostics(file),
    ];
    return found.map((diagnostic) => {
      const at = file?.getLineAndCharacterOfPosition(diagnostic.start ?? 0).line ?? 0;
      const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, "\n  ");
      return `${readme}:${(snippets.get(path)?.line ?? 0) + at + 1} ${message}`;
    });
  });
}

const snippets = snippetsOf(readFileSync(join(root, readme), "utf8"));
const problems = problemsIn(snippets);
if (snippets.size === 0) problems.push(`${readme} has no block of TypeScript`);
for (const problem of problems) console.error(problem);
process.exitCode = problems.length > 0 ? 1 : 0;
