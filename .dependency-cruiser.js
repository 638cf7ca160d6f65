// The layers: protocol <- core <- gate, sequencer, shard, registry <- host. The client knows the
// protocol only.

const tests = "[.]test[.]tsx?$";
const roles = "gate|sequencer|shard|registry";
const entries = "^src/(main|router|registry|worker)[.]ts$";

/**
 * Code under `path` (tests excepted) may import, of this repository, only what `allowed` matches.
 *
 * @param {string} name
 * @param {string} path
 * @param {string} allowed
 * @returns {import("dependency-cruiser").IForbiddenRuleType}
 */
const only = (name, path, allowed) => ({
  name,
  severity: "error",
  from: { path, pathNot: tests },
  to: { path: "^(src|client|test|bench|scripts|examples)/", pathNot: allowed },
});

/** @type {import("dependency-cruiser").IConfiguration} */
export default {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true } },
    {
      name: "no-unresolvable",
      severity: "error",
      from: {},
      to: { couldNotResolve: true, pathNot: "^cloudflare:" },
    },
    only("protocol-is-a-leaf", "^src/protocol/", "^src/protocol/"),
    only("core-imports-protocol", "^src/core/", "^src/(protocol|core)/"),
    only("roles-import-core-and-protocol", `^src/(${roles})/`, `^src/(protocol|core|${roles})/`),
    {
      name: "roles-are-apart",
      severity: "error",
      from: { path: `^src/(${roles})/`, pathNot: tests },
      to: { path: `^src/(${roles})/`, pathNot: "^src/$1/" },
    },
    only(
      "library-does-not-import-hosts-or-apps",
      "^src/(index|rooms)[.]ts$",
      `^src/((protocol|core|${roles})/|index[.]ts$)`,
    ),
    only(
      "hosts-do-not-import-apps",
      "^src/host/",
      "^(src/((protocol|core|gate|sequencer|shard|registry|host)/|index[.]ts$)|client/(registry-client|socket-texts)[.]ts$)",
    ),
    only("testing-imports-core-and-protocol", "^src/testing/", "^src/(protocol|core|testing)/"),
    {
      name: "hosts-are-apart",
      severity: "error",
      from: { path: "^src/host/([^/]+)/" },
      to: { path: "^src/host/[^/]+/", pathNot: "^src/host/$1/" },
    },
    only("apps-import-host-rooms-index", entries, "^src/(host/|rooms[.]ts$|index[.]ts$)"),
    {
      name: "apps-keep-to-their-host",
      severity: "error",
      from: { path: "^src/(main|router|registry)[.]ts$" },
      to: { path: "^src/host/partyserver/" },
    },
    {
      name: "worker-keeps-to-its-host",
      severity: "error",
      from: { path: "^src/worker[.]ts$" },
      to: { path: "^src/host/partykit/" },
    },
    only("client-imports-protocol", "^client/", "^(client|src/protocol)/"),
    {
      name: "platform-only-in-hosts",
      severity: "error",
      from: {
        path: "^(src|client)/",
        pathNot: [tests, "^src/host/", entries],
      },
      to: {
        path: "^(cloudflare:|partykit|partyserver|node_modules/(partykit|partyserver|@cloudflare)/)",
      },
    },
    {
      name: "no-node-builtins",
      severity: "error",
      from: { path: "^(src|client)/", pathNot: [tests, "^src/host/node/"] },
      to: { dependencyTypes: ["core"] },
    },
    {
      name: "no-dev-dependencies-in-product",
      severity: "error",
      from: { path: "^(src|client)/", pathNot: [tests, entries] },
      to: {
        dependencyTypes: ["npm-dev", "npm-no-pkg", "npm-unknown"],
        dependencyTypesNot: ["npm-peer", "type-only"],
      },
    },
    {
      name: "product-does-not-import-tests",
      severity: "error",
      from: { path: "^(src|client)/", pathNot: tests },
      to: { path: [tests, "^(test|bench|scripts|examples)/"] },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^(dist|coverage|bench/results|[.])" },
    // Types count: a layer that knows another's types knows the other layer.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.neutral.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
      mainFields: ["module", "main", "types"],
    },
  },
};
