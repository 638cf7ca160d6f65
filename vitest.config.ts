import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: "unit",
          include: ["src/**/*.test.ts", "client/**/*.test.{ts,tsx}", "bench/**/*.test.ts"],
          setupFiles: ["test/support/seeded.ts"],
          // Properties of many runs, on a machine that has other things to do.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "sim",
          include: ["test/sim/**/*.test.ts"],
          setupFiles: ["test/support/seeded.ts"],
          testTimeout: 300_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./wrangler.jsonc" },
            miniflare: {
              bindings: {
                PARTYSHARD_ADMIN_TOKEN: "test-admin-token",
                PARTYSHARD_SECRET: "a test secret of thirty-two bytes or more",
              },
            },
          }),
        ],
        test: {
          name: "workerd",
          include: ["test/workerd/*.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./test/support/apps/workers/wrangler.jsonc" },
            miniflare: {
              bindings: { PARTYSHARD_SECRET: "another test secret of thirty-two bytes" },
            },
          }),
        ],
        test: {
          name: "workerd-test-app",
          include: ["test/workerd/apps/*.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        plugins: [
          cloudflareTest({
            wrangler: { configPath: "./test/support/apps/workers/wrangler.jsonc" },
            miniflare: {
              bindings: {
                PARTYSHARD_ADMIN_TOKEN: "test-admin-token",
                PARTYSHARD_SECRET: "another test secret of thirty-two bytes",
              },
            },
          }),
        ],
        test: {
          name: "workerd-state",
          include: ["test/workerd/state/*.test.ts"],
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: "partykit",
          include: ["test/partykit/**/*.test.ts"],
          // Each file starts a server of its own.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "node",
          include: ["test/node/*.test.ts"],
          // Each file starts servers of its own.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "crash",
          include: ["test/crash/*.test.ts"],
          // Each file starts a server of its own, for a crowd of clients.
          fileParallelism: false,
          testTimeout: 300_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: "browser",
          include: ["test/browser/*.test.ts"],
          testTimeout: 60_000,
          hookTimeout: 120_000,
        },
      },
    ],
  },
});
