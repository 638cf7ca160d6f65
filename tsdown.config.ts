import { defineConfig } from "tsdown";

export default defineConfig({
  entry: {
    index: "src/index.ts",
    partykit: "src/host/partykit/index.ts",
    partyserver: "src/host/partyserver/index.ts",
  },
  format: "esm",
  platform: "neutral",
  target: "es2022",
  tsconfig: "src/host/partyserver/tsconfig.json",
  dts: true,
  sourcemap: true,
  deps: { neverBundle: [/^cloudflare:/, "partykit/server", "partyserver"] },
});
