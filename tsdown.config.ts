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
    },
    tsconfig: "src/host/partyserver/tsconfig.json",
    deps: { neverBundle: [/^cloudflare:/, "partykit/server", "partyserver"] },
  },
  {
    ...common,
    entry: {
      client: "client/room-socket.ts",
      react: "client/react.ts",
      "registry-client": "client/registry-client.ts",
      testing: "src/testing/index.ts",
    },
    tsconfig: "tsconfig.neutral.json",
  },
  {
    ...common,
    entry: { node: "src/host/node/index.ts" },
    platform: "node",
    tsconfig: "src/host/node/tsconfig.json",
    deps: { neverBundle: ["ws"] },
  },
]);
