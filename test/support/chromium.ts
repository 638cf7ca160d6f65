/**
 * A headless Chromium out of `node_modules`: unpacked into a directory of its own, started, stopped.
 * Nothing is downloaded, and no package of the system is needed.
 */
import { join } from "node:path";
import { env, platform, arch } from "node:process";
import packed from "@sparticuz/chromium";
import { chromium, type Browser } from "playwright-core";
import { temporaryDirectory } from "./temporary-directory.ts";

/** What the package would switch on for its home, AWS Lambda; here pages live as they do elsewhere. */
const unwanted = new Set([
  "--allow-running-insecure-content",
  "--disable-web-security",
  "--single-process",
]);

const ownArgs = [
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  "--no-first-run",
  "--no-proxy-server",
];

export interface Chromium {
  readonly browser: Browser;
  readonly stop: () => Promise<void>;
}

/** `CHROMIUM_PATH` names another Chromium, for machines on which the packed one does not run. */
export async function startChromium(): Promise<Chromium> {
  const own = env["CHROMIUM_PATH"];
  if (own === undefined && `${platform} ${arch}` !== "linux x64") {
    throw new Error("the packed Chromium is for Linux on x64: set CHROMIUM_PATH to another one");
  }
  const directory = temporaryDirectory();
  try {
    const executablePath = own ?? (await unpack(directory.path));
    const args = [...packed.args.filter((each) => !unwanted.has(each)), ...ownArgs];
    const browser = await chromium.launch({
      executablePath,
      args,
      env: own === undefined ? browserEnvironment(directory.path) : env,
    });
    const stop = async (): Promise<void> => {
      await browser.close();
      directory.remove();
    };
    return { browser, stop };
  } catch (error) {
    directory.remove();
    throw error;
  }
}

/**
 * The package unpacks into the directory for temporary files, takes what it finds there for its own,
 * and unpacks the shared libraries (NSS and others) only where it believes to be on Lambda.
 */
async function unpack(directory: string): Promise<string> {
  const given = { TMPDIR: directory, AWS_EXECUTION_ENV: "AWS_Lambda_nodejs24.x" };
  const before = Object.keys(given).map((name) => [name, env[name]] as const);
  Object.assign(env, given);
  try {
    return await packed.executablePath();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Reflect.deleteProperty(env, name);
      else env[name] = value;
    }
  }
}

function browserEnvironment(directory: string): Record<string, string | undefined> {
  const libraries = join(directory, "al2023", "lib");
  const others = env["LD_LIBRARY_PATH"];
  return {
    ...env,
    FONTCONFIG_PATH: join(directory, "fonts"),
    LD_LIBRARY_PATH: others === undefined ? libraries : `${libraries}:${others}`,
  };
}
