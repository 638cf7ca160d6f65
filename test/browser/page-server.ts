/** Serves the pages of this directory, bundled, from an origin that is not the rooms'. */
import { once } from "node:events";
import { createServer } from "node:http";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

export interface PageServer {
  readonly origin: string;
  readonly stop: () => Promise<void>;
}

export async function servePages(): Promise<PageServer> {
  const scripts = await bundle(["sockets.ts", "use-room.tsx"]);
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://page");
    const script = scripts.get(basename(pathname));
    if (script === undefined) {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(documentOf(pathname));
    } else {
      response.writeHead(200, { "content-type": "text/javascript; charset=utf-8" });
      response.end(script);
    }
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    server.close();
    await once(server, "close");
  };
  return { origin: `http://127.0.0.1:${address.port}`, stop };
}

/** `/NAME` is the page with the script `NAME.js`. */
function documentOf(pathname: string): string {
  const script = `<script type="module" src="${pathname}.js"></script>`;
  const icon = `<link rel="icon" href="data:,">`;
  return `<!doctype html><title>partyshard</title>${icon}<div id="root"></div>${script}`;
}

async function bundle(names: readonly string[]): Promise<ReadonlyMap<string, Uint8Array>> {
  const { outputFiles } = await build({
    entryPoints: names.map((name) => fileURLToPath(new URL(`pages/${name}`, import.meta.url))),
    bundle: true,
    write: false,
    outdir: "pages",
    format: "esm",
    platform: "browser",
    target: "es2022",
    jsx: "automatic",
  });
  return new Map(outputFiles.map(({ path, contents }) => [basename(path), contents]));
}
