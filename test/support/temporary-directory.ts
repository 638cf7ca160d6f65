/** A directory of the test's own, for a server's storage. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function temporaryDirectory(): { readonly path: string; readonly remove: () => void } {
  const path = mkdtempSync(join(tmpdir(), "partyshard-"));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
