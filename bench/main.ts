// SPDX-License-Identifier: Apache-2.0
/**
 * npm run bench -- NAME [--json]
 *
 * Runs `bench/NAME.ts` and prints each figure beside its bound and its peer, measured in the same run on the same
 * machine (see measure.ts). With --json one array of `{name, value, bound, peer, ratio, …}` and nothing else on stdout.
 */
import { existsSync, globSync } from "node:fs";
import { cpus } from "node:os";
import { basename, join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import type { Bench, Measurement } from "./measure.ts";

const HELPERS = ["main", "measure"];

function usage(): number {
  const names = globSync("*.ts", { cwd: import.meta.dirname })
    .map((file) => basename(file, ".ts"))
    .filter((name) => !HELPERS.includes(name) && !name.endsWith(".test"))
    .toSorted();
  process.stderr.write(`usage: npm run bench -- NAME [--json]\nNAME is one of: ${names.join(", ")}\n`);
  return 2;
}

function machine(): Record<string, string | number> {
  const processors = cpus();
  return {
    date: new Date().toISOString(),
    cores: processors.length,
    cpu: processors[0]?.model.trim() ?? "unknown",
    node: process.version,
  };
}

function figure(value: number | null): string {
  if (value === null) return "–";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

function table(results: readonly Measurement[]): string {
  const rows = [["", "value", "unit", "bound", "of bound", "peer", "× peer", "spread"]];
  for (const { name, value, unit, bound, ratio, peer, peerRatio, spread } of results) {
    rows.push([
      name,
      figure(value),
      unit,
      figure(bound),
      ratio === null ? "–" : `${Math.round(100 * ratio)} %`,
      figure(peer),
      figure(peerRatio),
      `${Math.round(100 * spread)} %`,
    ]);
  }
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => (column === 0 || column === 2 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function legend(results: readonly Measurement[]): string {
  const lines = new Set<string>();
  for (const { boundName, peerName } of results) {
    if (boundName !== null) lines.add(`bound: ${boundName}`);
    if (peerName !== null) lines.add(`peer:  ${peerName}`);
  }
  return [...lines].toSorted().join("\n");
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({ options: { json: { type: "boolean", default: false } }, allowPositionals: true });
  const [name] = positionals;
  if (name === undefined || positionals.length > 1 || HELPERS.includes(name) || !/^[a-z0-9-]+$/.test(name)) return usage();
  const file = join(import.meta.dirname, `${name}.ts`);
  if (!existsSync(file)) return usage();
  const { run } = (await import(pathToFileURL(file).href)) as { run: Bench };
  const results = await run();
  const where = machine();
  if (values.json) {
    console.log(
      JSON.stringify(
        results.map((result) => ({ ...result, ...where })),
        null,
        1,
      ),
    );
    return 0;
  }
  console.log(table(results));
  console.log(`\n${legend(results)}`);
  const repetitions = [...new Set(results.map((result) => result.repetitions))].toSorted((a, b) => a - b).join(" or ");
  console.log(`best of ${repetitions}; ${where["date"]}; ${where["cores"]} × ${where["cpu"]}; Node ${where["node"]}`);
  return 0;
}

process.exitCode = await main();
