/**
 * Holds `partyshard/client` to its size: what it adds, minified and gzipped, to an application that
 * has `partysocket`.
 */
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const maxBytes = 5_000;

async function gzippedBytes(contents: string): Promise<number> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: ".", loader: "ts" },
    bundle: true,
    minify: true,
    write: false,
    format: "esm",
    platform: "browser",
    target: "es2022",
  });
  return gzipSync(outputFiles[0]?.contents ?? "", { level: 9 }).length;
}

const partysocket = `
  export { PartySocket, WebSocket } from "partysocket";
  export { CloseEvent, ErrorEvent } from "partysocket/ws";
`;
const whole = await gzippedBytes(`export * from "./client/room-socket.ts"`);
const below = await gzippedBytes(partysocket);
const bytes = whole - below;
console.log(
  `partyshard/client: ${bytes} of ${maxBytes} bytes (${whole} with partysocket, ${below})`,
);
if (bytes > maxBytes) process.exitCode = 1;
