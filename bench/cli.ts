// SPDX-License-Identifier: Apache-2.0
/**
 * The command as it is published, whole processes: how much CPU a run takes from start to exit status, and how long it
 * lasts on the clock.
 *
 * The bound is Node doing nothing (`node -e 0`): no program for it can be quicker. The peer is cosign, a native binary, on
 * the same files where it is at hand (scripts/parts/unpack sid cosign). All take turns. The budget: `verify-blob` at most
 * 2.4 times bare Node, `--version` at most 1.6 times. The second pair of verifications does without the compiled form that
 * the command keeps in the user's cache folder: that is the first run on a machine.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { bytesOf, createWorkshop, IDENTITY, ISSUER, type Recipe, seal } from "../test/workshop/workshop.ts";
import type { Measurement } from "./measure.ts";

const ROOT = dirname(import.meta.dirname);
const TURNS = 25;

interface Spent {
  readonly cpuMs: number;
  readonly wallMs: number;
}

/** A command line, its environment, and its runs. */
interface Runner {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly spent: Spent[];
}

/** Runs a command that must succeed. Only a shell tells a child's CPU time; its own is not in it. */
function runOnce({ command, env }: Pick<Runner, "command" | "env">): Spent {
  const timed = ["-c", 'TIMEFORMAT="%U %S %R"; time "$@" >/dev/null 2>&1', "time", ...command];
  const done = spawnSync("bash", timed, { encoding: "utf8", env: { PATH: process.env["PATH"], ...env } });
  if (done.status !== 0) throw new Error(`${command.join(" ")} ended with ${done.status}`);
  const [user, system, wall] = done.stderr.trim().split("\n").at(-1)!.split(" ").map(Number) as [number, number, number];
  return { cpuMs: 1000 * (user + system), wallMs: 1000 * wall };
}

interface Sample {
  readonly bundle: string;
  readonly root: string;
  readonly artifact: string;
  readonly flags: readonly string[];
}

const BEACON =
  "https://github.com/sigstore-conformance/extremely-dangerous-public-oidc-beacon/.github/workflows/extremely-dangerous-oidc-beacon.yml@refs/heads/main";

/** A bundle of each log generation: of sigstore-conformance where it lies beside the repository, else of our workshop. */
function samplesIn(folder: string): Readonly<Record<"v1" | "v2", Sample>> {
  const vectors = join(process.env["LACRE_VECTORS"] ?? join(ROOT, "..", "shared"), "vectors");
  const cases = join(vectors, "bundle-verify");
  const flagsFor = (identity: string, issuer: string): string[] => [
    "--certificate-identity",
    identity,
    "--certificate-oidc-issuer",
    issuer,
  ];
  if (existsSync(cases)) {
    const flags = flagsFor(BEACON, "https://token.actions.githubusercontent.com");
    const artifact = join(cases, "a.txt");
    const at = (name: string): string => join(cases, name, "bundle.sigstore.json");
    return {
      v1: { bundle: at("happy-path-v0.3"), root: join(vectors, "public-good-trusted_root.json"), artifact, flags },
      v2: { bundle: at("rekor2-happy-path"), root: join(cases, "rekor2-happy-path", "trusted_root.json"), artifact, flags },
    };
  }
  const workshop = createWorkshop({ authorityKeys: "P-384" });
  const make = (name: "v1" | "v2"): Sample => {
    const recipe: Recipe = { dialect: name };
    const { bundle, root, artifact } = seal(workshop, recipe);
    const path = (part: string): string => join(folder, `${name}.${part}`);
    writeFileSync(path("sigstore.json"), bytesOf(bundle));
    writeFileSync(path("root.json"), bytesOf(root));
    writeFileSync(path("artifact"), artifact);
    return {
      bundle: path("sigstore.json"),
      root: path("root.json"),
      artifact: path("artifact"),
      flags: flagsFor(IDENTITY, ISSUER),
    };
  };
  return { v1: make("v1"), v2: make("v2") };
}

function findCosign(): string | undefined {
  const cache = process.env["LACRE_PARTS"] ?? join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "lacre-parts");
  const path = join(cache, "sid", "usr", "bin", "cosign");
  return existsSync(path) ? path : undefined;
}

export async function run(): Promise<readonly Measurement[]> {
  const folder = mkdtempSync(join(tmpdir(), "lacre-bench-cli-"));
  try {
    const build = [...process.execArgv, join(ROOT, "scripts", "build.ts"), "command"];
    const built = spawnSync(process.execPath, build, { encoding: "utf8" });
    if (built.status !== 0) throw new Error(`${built.stdout}${built.stderr}`);
    // Away from the clone, where the launcher finds no sources, as in a user's node_modules.
    for (const part of ["bin", "chunks", "package.json"])
      cpSync(join(ROOT, "packages", "cli", part), join(folder, "lacre", part), { recursive: true });
    mkdirSync(join(folder, "home"));
    return measure(folder);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function measure(folder: string): readonly Measurement[] {
  const node = process.execPath;
  const lacre = [node, join(folder, "lacre", "bin", "lacre.js")];
  const home = { HOME: join(folder, "home"), TUF_ROOT: join(folder, "home", "tuf") };
  const cosign = findCosign();
  const samples = samplesIn(folder);
  const line = ({ bundle, root, artifact, flags }: Sample): string[] => [
    "verify-blob",
    "--bundle",
    bundle,
    "--trusted-root",
    root,
    ...flags,
    artifact,
  ];
  const bare: Runner = { command: [node, "-e", "0"], spent: [] };
  interface Row {
    readonly name: string;
    readonly ours: Runner;
    readonly peer: Runner | undefined;
  }
  const row = (name: string, args: readonly string[], peerArgs: readonly string[], env: Record<string, string> = {}): Row => ({
    name,
    ours: { command: [...lacre, ...args], env: { HOME: home.HOME, ...env }, spent: [] },
    peer: cosign === undefined ? undefined : { command: [cosign, ...peerArgs], env: home, spent: [] },
  });
  const cold = { NODE_DISABLE_COMPILE_CACHE: "1" };
  const rows = [
    row("--version", ["--version"], ["version"]),
    row("verify-blob, log v1", [...line(samples.v1), "--offline"], line(samples.v1)),
    row("verify-blob, log v2", [...line(samples.v2), "--offline"], line(samples.v2)),
    row("verify-blob, log v1, first run", [...line(samples.v1), "--offline"], line(samples.v1), cold),
    row("verify-blob, log v2, first run", [...line(samples.v2), "--offline"], line(samples.v2), cold),
  ];
  const runners = [bare, ...rows.flatMap(({ ours, peer }) => [ours, ...(peer === undefined ? [] : [peer])])];
  // The first runs fill caches: the compiled form, and the system's.
  for (let turn = -2; turn < TURNS; turn++) {
    for (const runner of runners) {
      const spent = runOnce(runner);
      if (turn >= 0) runner.spent.push(spent);
    }
  }
  return (["cpuMs", "wallMs"] as const).flatMap((what) =>
    rows.map(({ name, ours, peer }) => {
      const best = (runner: Runner): number => Math.min(...runner.spent.map((one) => one[what]));
      const value = best(ours);
      const bound = best(bare);
      const other = peer === undefined ? null : best(peer);
      return {
        name: `${name}, ${what === "cpuMs" ? "CPU" : "clock"}`,
        unit: "ms",
        value,
        bound,
        peer: other,
        ratio: bound / value,
        peerRatio: other === null ? null : other / value,
        boundName: "node -e 0",
        peerName: other === null ? null : "cosign 3.1.1, native",
        repetitions: TURNS,
        spread: (Math.max(...ours.spent.map((one) => one[what])) - value) / value,
      };
    }),
  );
}
