// SPDX-License-Identifier: Apache-2.0
// npm run renewal: the trust repository renews itself. tuf-js and python-tuf refresh while two real expiries of a
// 20-second timestamp pass, and again after the wall clock of the whole server has jumped eight days (libfaketime).
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type Instance, type Journey, ROOT, scratch, startInstance, succeed, travel } from "../harness.ts";

const LIFE_SECONDS = 20;
const work = scratch("renewal");
const home = join(work.path, "home");
mkdirSync(home);

const python = join(
  execFileSync(join(ROOT, "scripts", "parts", "python"), ["tuf6", "tuf==6.0.0", "securesystemslib[crypto]"], {
    encoding: "utf8",
  }).trim(),
  "python",
);

/** Prefix of a command whose wall clock (not its timers) reads the offset in `file`. */
function clockOf(file: string): string[] {
  const library = execFileSync("sh", ["-c", "ls /usr/lib/*/faketime/libfaketime.so.1"], { encoding: "utf8" }).trim();
  return [
    "env",
    `LD_PRELOAD=${library}`,
    `FAKETIME_TIMESTAMP_FILE=${file}`,
    "FAKETIME_NO_CACHE=1",
    "FAKETIME_DONT_FAKE_MONOTONIC=1",
  ];
}

interface Reader {
  readonly name: string;
  /** Refreshes with what it kept from before. */
  refresh(instance: Instance, clock?: readonly string[]): Promise<void>;
}

function readers(): Reader[] {
  const script = join(import.meta.dirname, "clients", "tuf-js.ts");
  const pythonScript = join(import.meta.dirname, "clients", "python-tuf.py");
  const call = async (name: string, command: readonly string[], instance: Instance, clock: readonly string[]): Promise<void> => {
    const folder = join(work.path, name, instance.url.replaceAll(/\W/g, "-"));
    mkdirSync(folder, { recursive: true });
    const [first, ...rest] = [...clock, ...command, `${instance.url}/tuf`, join(instance.dir, "trust", "root.json"), folder];
    await succeed(first!, rest);
  };
  return [
    { name: "tuf-js", refresh: (instance, clock = []) => call("tuf-js", [process.execPath, script], instance, clock) },
    { name: "python-tuf", refresh: (instance, clock = []) => call("python-tuf", [python, pythonScript], instance, clock) },
  ];
}

const journeys: Journey[] = [
  {
    name: `refreshes go on while two expiries of a ${LIFE_SECONDS}-second timestamp pass`,
    async go() {
      const config = join(work.path, "config.json");
      writeFileSync(config, JSON.stringify({ tuf: { timestampLifeSeconds: LIFE_SECONDS } }));
      const instance = await startInstance({
        dir: join(work.path, "short"),
        port: await freePort(),
        home,
        args: ["--config", config],
      });
      try {
        const expiries = new Set<string>();
        const end = Date.now() + (2 * LIFE_SECONDS + 5) * 1000;
        while (Date.now() < end) {
          for (const reader of readers()) await reader.refresh(instance);
          const timestamp = (await (await fetch(`${instance.url}/tuf/timestamp.json`)).json()) as { signed: { expires: string } };
          if (Date.parse(timestamp.signed.expires) <= Date.now()) throw new Error("an expired timestamp was served");
          expiries.add(timestamp.signed.expires);
          await new Promise((resolve) => setTimeout(resolve, 3000));
        }
        if (expiries.size < 3) throw new Error(`the timestamp was renewed ${expiries.size - 1} times only`);
      } finally {
        await instance.stop();
      }
    },
  },
  {
    name: "after the wall clock jumps eight days the next refresh succeeds",
    async go() {
      const clock = join(work.path, "clock");
      writeFileSync(clock, "+0\n");
      const wrapper = clockOf(clock);
      const instance = await startInstance({ dir: join(work.path, "jump"), port: await freePort(), home, wrapper });
      try {
        for (const reader of readers()) await reader.refresh(instance, wrapper);
        const later = join(work.path, "clock.new");
        writeFileSync(later, "+8d\n");
        copyFileSync(later, clock);
        for (const reader of readers()) await reader.refresh(instance, wrapper);
        const timestamp = (await (await fetch(`${instance.url}/tuf/timestamp.json`)).json()) as { signed: { expires: string } };
        if (Date.parse(timestamp.signed.expires) <= Date.now() + 8 * 86_400_000)
          throw new Error(`timestamp.json expires ${timestamp.signed.expires}, before the server's own clock`);
      } finally {
        await instance.stop();
      }
    },
  },
];

const { passed, failed } = await travel(journeys, process.argv.slice(2));
work.remove();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
