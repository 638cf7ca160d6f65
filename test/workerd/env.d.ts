// Types `exports` of "cloudflare:workers" after the Worker under test.
declare namespace Cloudflare {
  interface GlobalProps {
    mainModule: typeof import("../../src/worker.ts");
  }
}
