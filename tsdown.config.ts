import { defineConfig } from "tsdown";

const common = {
  format: "esm",
  platform: "neutral",
  target: "es2022",
  dts: true,
  sourcemap: true,
} as const;

export default defineConfig([
  {
    ...common,
    entry: {
      index: "src/index.ts",
      partykit: "src/host/partykit/index.ts",
      partyserver: "src/host/partyserver/index.ts",
      // Together, so that a class is one class whichever entry it comes from.
      node: "src/host/node/index.ts",
      "registry-client": "client/registry-client.ts",
      testing: "src/testing/index.ts",
    },
    tsconfig: "src/host/partyserver/tsconfig.json",
    deps: { neverBundle: [/^cloudflare:/, /^node:/, "partykit/server", "partyserver", "ws"] },
  },
  {
    ...common,
    entry: {
      client: "client/room-socket.ts",
      react: "client/react.ts",
    },
    tsconfig: "tsconfig.neutral.json",
  },
]);
