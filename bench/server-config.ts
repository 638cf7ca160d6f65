/**
 * Owns the text of a workerd configuration (Cap'n Proto) for a bundle. Pure: it neither reads nor
 * writes files.
 */
import type { Bundle } from "./bundle.ts";

/** The name of the listening socket, as workerd reports it on its control descriptor. */
export const socketName = "http";

type Places = {
  /** Relative to the configuration file. */
  readonly bundlePath: string;
  /** Absolute. */
  readonly storagePath: string;
  /** On the loopback; 0 is one that the system chooses. */
  readonly port: number;
};

/** One Worker with its Durable Objects, SQLite-backed, stored on disk. */
export function workerdConfig(bundle: Bundle, { bundlePath, storagePath, port }: Places): string {
  const modules = bundle.modules.map(
    (name) => `(name = ${text(name)}, esModule = embed ${text(`${bundlePath}/${name}`)})`,
  );
  const namespaces = bundle.durableObjects.map(
    ({ className }) =>
      `(className = ${text(className)}, uniqueKey = ${text(`bench-${className}`)}, enableSql = true)`,
  );
  const bindings = [
    ...bundle.durableObjects.map(
      ({ name, className }) =>
        `(name = ${text(name)}, durableObjectNamespace = ${text(className)})`,
    ),
    ...Object.entries(bundle.variables).map(
      ([name, value]) => `(name = ${text(name)}, text = ${text(value)})`,
    ),
  ];
  return `using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "storage", disk = (path = ${text(storagePath)}, writable = true)),
    (name = "worker", worker = .worker),
  ],
  sockets = [
    (name = ${text(socketName)}, address = "127.0.0.1:${port}", http = (), service = "worker"),
  ],
);

const worker :Workerd.Worker = (
  modules = ${list(modules)},
  compatibilityDate = ${text(bundle.compatibilityDate)},
  compatibilityFlags = ${list(bundle.compatibilityFlags.map(text))},
  durableObjectNamespaces = ${list(namespaces)},
  durableObjectStorage = (localDisk = "storage"),
  bindings = ${list(bindings)},
);
`;
}

/** Cap'n Proto string literals escape as JSON's do for the characters that occur here. */
function text(value: string): string {
  return JSON.stringify(value);
}

function list(items: readonly string[]): string {
  return `[\n${items.map((item) => `    ${item},\n`).join("")}  ]`;
}
