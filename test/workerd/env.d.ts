// Types `exports` and `env` of "cloudflare:workers" after the Worker under test.
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../../src/worker.ts");
  }
  type Env = import("../../src/host/partyserver/index.ts").Bindings;
}
