// SPDX-License-Identifier: Apache-2.0
/**
 * node scripts/draw-scale.ts [RESULTS]
 *
 * Draws how a log behaves as it grows: `docs/scale.svg`, and the table in `docs/scale.md`, from the rows that
 * `npm run bench -- scale --json` prints (default `bench/results/scale.json`). Same rows, same picture.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** A row of the bench, as far as it is drawn. */
interface Row {
  readonly name: string;
  readonly unit: string;
  readonly value: number;
  readonly spread: number;
  readonly repetitions: number;
  readonly date: string;
  readonly cores: number;
  readonly cpu: string;
  readonly node: string;
}

/** A figure over the sizes. */
interface Line {
  readonly what: string;
  readonly unit: string;
  readonly points: readonly (readonly [size: number, value: number])[];
}

const ROOT = dirname(import.meta.dirname);
const PANELS: readonly { readonly title: string; readonly lines: readonly string[] }[] = [
  {
    title: "Resident memory",
    lines: ["resident after the start", "resident after the questions", "resident at most while growing"],
  },
  { title: "Start", lines: ["start after a kill", "start after a close"] },
  {
    title: "A proof, a look-up",
    lines: ["proof p50", "proof p99", "look-up of a stored record p50", "look-up of a stored record p99"],
  },
  { title: "Disk", lines: ["disk"] },
];
const COLOURS = ["#0b62a4", "#c4561b", "#3b7d3b", "#8a4f9e"];
const [WIDTH, HEIGHT] = [420, 270];
const PLOT = { left: 56, right: 16, top: 74, bottom: 34 } as const;

function linesOf(rows: readonly Row[]): Map<string, Line> {
  const lines = new Map<string, { what: string; unit: string; points: [number, number][] }>();
  for (const { name, unit, value } of rows) {
    const found = /^(.+), (\d+) entries$/.exec(name);
    if (found === null) throw new Error(`not a row of the bench: ${name}`);
    const line = lines.get(found[1]!) ?? { what: found[1]!, unit, points: [] };
    line.points.push([Number(found[2]), value]);
    lines.set(line.what, line);
  }
  return lines;
}

/** A round number at or above `value`, in which axes end. */
function ceiling(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value)!;
}

/** 10³ and the like, with real superscripts. */
function powerOf(size: number): string {
  const exponent = Math.log10(size);
  return Number.isInteger(exponent) ? `10<tspan dy="-5" font-size="9">${exponent}</tspan>` : size.toLocaleString("en-US");
}

function figure(value: number): string {
  return value >= 100
    ? value.toFixed(0)
    : value >= 10
      ? value.toFixed(1)
      : value >= 0.1
        ? value.toFixed(2)
        : value.toPrecision(2);
}

function panel(title: string, lines: readonly Line[], x: number, y: number): string {
  const sizes = [...new Set(lines.flatMap(({ points }) => points.map(([size]) => size)))].toSorted((a, b) => a - b);
  const top = ceiling(Math.max(...lines.flatMap(({ points }) => points.map(([, value]) => value))));
  const [left, right] = [x + PLOT.left, x + WIDTH - PLOT.right];
  const [upper, lower] = [y + PLOT.top, y + HEIGHT - PLOT.bottom];
  const span = Math.log10(sizes.at(-1)! / sizes[0]!) || 1;
  const atX = (size: number): number => left + 12 + ((right - left - 24) * Math.log10(size / sizes[0]!)) / span;
  const atY = (value: number): number => lower - ((lower - upper) * value) / top;
  const out = [
    `<text x="${x + 8}" y="${y + 20}" font-size="14" font-weight="600">${title} <tspan font-weight="400" fill="#555">(${lines[0]!.unit})</tspan></text>`,
  ];
  for (let step = 0; step <= 4; step++) {
    const value = (top * step) / 4;
    out.push(`<line x1="${left}" x2="${right}" y1="${atY(value).toFixed(1)}" y2="${atY(value).toFixed(1)}" stroke="#ddd"/>`);
    out.push(
      `<text x="${left - 6}" y="${(atY(value) + 4).toFixed(1)}" text-anchor="end" fill="#555">${step === 0 ? "0" : figure(value)}</text>`,
    );
  }
  for (const size of sizes)
    out.push(`<text x="${atX(size).toFixed(1)}" y="${lower + 20}" text-anchor="middle" fill="#555">${powerOf(size)}</text>`);
  for (const [at, { what, points }] of lines.entries()) {
    const colour = COLOURS[at % COLOURS.length]!;
    const [column, row] = [at % 2, at >> 1];
    out.push(
      `<circle cx="${x + 14 + column * 200}" cy="${y + 37 + row * 16}" r="4" fill="${colour}"/><text x="${x + 23 + column * 200}" y="${y + 41 + row * 16}">${what}</text>`,
    );
    out.push(
      `<polyline fill="none" stroke="${colour}" stroke-width="2" points="${points.map(([size, value]) => `${atX(size).toFixed(1)},${atY(value).toFixed(1)}`).join(" ")}"/>`,
    );
    for (const [size, value] of points) {
      out.push(
        `<circle cx="${atX(size).toFixed(1)}" cy="${atY(value).toFixed(1)}" r="3.5" fill="${colour}"><title>${what}: ${figure(value)} at ${size.toLocaleString("en-US")} entries</title></circle>`,
      );
    }
  }
  return out.join("\n");
}

function draw(lines: ReadonlyMap<string, Line>): string {
  const panels = PANELS.map(({ title, lines: names }, at) =>
    panel(
      title,
      names.map((name) => lines.get(name)).filter((line) => line !== undefined),
      (at % 2) * WIDTH,
      (at >> 1) * HEIGHT,
    ),
  );
  const [width, height] = [2 * WIDTH, Math.ceil(PANELS.length / 2) * HEIGHT];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, sans-serif" font-size="11" fill="#222" role="img" aria-label="Memory, start, proofs, look-ups and disk of a log from a hundred thousand to ten million entries">`,
    `<rect width="${width}" height="${height}" fill="#fff"/>`,
    ...panels,
    "</svg>\n",
  ].join("\n");
}

function table(lines: ReadonlyMap<string, Line>): string {
  const sizes = [...lines.values()][0]!.points.map(([size]) => size);
  const rows = [
    ["", "unit", ...sizes.map((size) => `${size.toLocaleString("en-US")} entries`)],
    ["---", "---", ...sizes.map(() => "--:")],
  ];
  for (const { what, unit, points } of lines.values()) rows.push([what, unit, ...points.map(([, value]) => figure(value))]);
  return rows.map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}

const rows = JSON.parse(readFileSync(process.argv[2] ?? join(ROOT, "bench/results/scale.json"), "utf8")) as readonly Row[];
const lines = linesOf(rows);
writeFileSync(join(ROOT, "docs/scale.svg"), draw(lines));
const document = join(ROOT, "docs/scale.md");
const [first] = rows;
const [BEGIN, END] = ["<!-- drawn by scripts/draw-scale.ts -->", "<!-- end -->"];
const before = readFileSync(document, "utf8");
const [from, to] = [before.indexOf(BEGIN), before.indexOf(END)];
if (from < 0 || to < from) throw new Error(`${document} has no place for the table`);
const measured = `Measured ${first!.date.slice(0, 10)} on ${first!.cores} × ${first!.cpu} with Node ${first!.node}; the best of at least ${Math.min(...rows.flatMap(({ repetitions }) => (repetitions > 1 ? [repetitions] : [])))} runs where there are several (after a kill: the worst).`;
writeFileSync(document, `${before.slice(0, from)}${BEGIN}\n\n${measured}\n\n${table(lines)}\n\n${before.slice(to)}`);
