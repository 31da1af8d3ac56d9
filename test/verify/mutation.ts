// SPDX-License-Identifier: Apache-2.0
/**
 * Ways to damage a bundle. A mutation takes a good bundle (and the other good ones, for parts to swap in) and a source of
 * numbers, and returns what an attacker or a broken disk might hand in instead; undefined where it does not apply.
 *
 * Whether a verifier may still accept what comes out is for `equivalence.ts` to say, from the text alone. `never` marks
 * those of which nothing may be accepted whatever it says: text that two readers would read differently.
 */
import { toBase64 } from "@lacre/core/bytes";

// oxlint-disable-next-line typescript/no-explicit-any -- bundles are taken apart by the names that the formats give
type Tree = any;

/** Numbers from a seed (mulberry32): the same in every run. */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  below(limit: number): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  }

  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)]!;
  }
}

/** A damaged bundle, and what was done. */
export interface Mutant {
  readonly text: string | Uint8Array;
  readonly how: string;
  /** Nothing like it may be accepted. */
  readonly never?: boolean;
}

type Mutation = (good: string, others: readonly string[], random: Random) => Mutant | undefined;
type Path = readonly (string | number)[];

/** Every member and element, as paths. */
export function pathsOf(value: Tree, path: Path = []): Path[] {
  const inner: [string | number, unknown][] = Array.isArray(value)
    ? [...value.entries()]
    : typeof value === "object" && value !== null
      ? Object.entries(value)
      : [];
  return [...(path.length === 0 ? [] : [path]), ...inner.flatMap(([key, item]) => pathsOf(item, [...path, key]))];
}

function at(tree: Tree, path: Path): Tree {
  return path.reduce((value, key) => value?.[key], tree);
}

// A place in the text that can take any spelling.
const HOLE = "\u0001hole\u0001";

/** The text with the value at a path spelled as given; undefined removes it. */
function spelled(good: string, path: Path, raw: string | undefined): string {
  const tree: Tree = JSON.parse(good);
  const parent = at(tree, path.slice(0, -1));
  const last = path.at(-1)!;
  if (raw !== undefined) parent[last] = HOLE;
  else if (Array.isArray(parent)) parent.splice(Number(last), 1);
  else delete parent[last];
  return JSON.stringify(tree).replace(JSON.stringify(HOLE), () => raw ?? "");
}

const isBase64 = (value: unknown): value is string =>
  typeof value === "string" && value.length >= 8 && value.length % 4 === 0 && /^[A-Za-z0-9+/]+={0,2}$/.test(value);

/** Paths of the values that stand for octets. Names of keys are text, whatever they look like. */
function octetPaths(tree: Tree): Path[] {
  return pathsOf(tree).filter((path) => isBase64(at(tree, path)) && !/^(hint|keyid)$/.test(String(path.at(-1))));
}

function inOctets(
  good: string,
  random: Random,
  which: (octets: Buffer) => boolean,
  change: (octets: Buffer) => [Uint8Array, string] | undefined,
): Mutant | undefined {
  const tree: Tree = JSON.parse(good);
  const paths = octetPaths(tree).filter((path) => which(Buffer.from(at(tree, path), "base64")));
  if (paths.length === 0) return undefined;
  const path = random.of(paths);
  const changed = change(Buffer.from(at(tree, path), "base64"));
  if (changed === undefined) return undefined;
  return { text: spelled(good, path, JSON.stringify(toBase64(changed[0]))), how: `${path.join(".")}: ${changed[1]}` };
}

/** Whether octets hold a JSON object: a digest may begin as one. */
function isJson(octets: Buffer): boolean {
  if (octets[0] !== 0x7b) return false;
  try {
    JSON.parse(octets.toString());
    return true;
  } catch {
    return false;
  }
}

/** A DER value taken apart, so that the lengths around a change stay right. */
interface Node {
  tag: number;
  content: Buffer;
  inner: Node[] | undefined;
  /** How the length is written. */
  length?: "long" | "indefinite";
}

function parseNode(bytes: Buffer, from: number, end: number): [Node, number] | undefined {
  if (from + 2 > end) return undefined;
  let at = from + 1;
  if ((bytes[from]! & 0x1f) === 0x1f) return undefined;
  let size = bytes[at++]!;
  if (size >= 0x80) {
    const octets = size & 0x7f;
    if (octets === 0 || octets > 3 || at + octets > end) return undefined;
    size = 0;
    for (let i = 0; i < octets; i++) size = (size << 8) | bytes[at++]!;
  }
  if (at + size > end) return undefined;
  const node: Node = { tag: bytes[from]!, content: bytes.subarray(at, at + size), inner: undefined };
  if ((node.tag & 0x20) !== 0) {
    node.inner = [];
    for (let next = at; next < at + size;) {
      const found = parseNode(bytes, next, at + size);
      if (found === undefined) return undefined;
      node.inner.push(found[0]);
      next = found[1];
    }
  }
  return [node, at + size];
}

function encodeNode(node: Node): Buffer {
  const content = node.inner === undefined ? node.content : Buffer.concat(node.inner.map(encodeNode));
  if (node.length === "indefinite") return Buffer.concat([Buffer.from([node.tag, 0x80]), content, Buffer.from([0, 0])]);
  const octets: number[] = [];
  for (let rest = content.length; rest > 0; rest = Math.floor(rest / 256)) octets.unshift(rest & 0xff);
  if (node.length === "long") octets.unshift(0);
  const length = content.length < 0x80 && node.length === undefined ? [content.length] : [0x80 | octets.length, ...octets];
  return Buffer.concat([Buffer.from([node.tag, ...length]), content]);
}

function nodesOf(node: Node): Node[] {
  return [node, ...(node.inner ?? []).flatMap(nodesOf)];
}

function parseDer(octets: Buffer): Node | undefined {
  const found = octets[0] === 0x30 ? parseNode(octets, 0, octets.length) : undefined;
  return found !== undefined && found[1] === octets.length ? found[0] : undefined;
}

const inDer: Mutation = (good, _others, random) =>
  inOctets(
    good,
    random,
    (octets) => parseDer(octets) !== undefined,
    (octets) => {
      const root = parseDer(octets)!;
      const nodes = nodesOf(root);
      const parents = nodes.filter((node) => (node.inner?.length ?? 0) > 0);
      const parent = random.of(parents);
      const inner = parent.inner!;
      const index = random.below(inner.length);
      const node = inner[index]!;
      const done = [
        (): string => (inner.splice(index, 1), "a value left out"),
        (): string => (inner.splice(index, 0, node), "a value twice"),
        (): string => (inner.unshift(...inner.splice(index, 1)), "values in another order"),
        (): string => ((node.tag ^= 1 << random.below(8)), "another tag"),
        (): string => ((node.length = "long"), "a length with a zero in front"),
        (): string => (((node.inner === undefined ? parent : node).length = "indefinite"), "an indefinite length"),
        (): string => (inner.push({ tag: 0x05, content: Buffer.alloc(0), inner: undefined }), "a NULL behind"),
        (): string => {
          node.content = Buffer.concat([Buffer.from([0]), node.content]);
          return "a zero in front of the content";
        },
        (): string => ((node.inner = undefined), (node.content = Buffer.alloc(0)), "a value emptied"),
      ];
      const how = random.of(done)();
      return [encodeNode(root), how];
    },
  );

// Order of P-256: with s, n − s signs as well.
const P256_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;

/** The other signature that the same key's owner might have made, or undefined for what is no P-256 signature. */
export function twinSignature(octets: Uint8Array): Buffer | undefined {
  const root = parseDer(Buffer.from(octets));
  if (root?.inner?.length !== 2 || octets.length > 72 || root.inner.some((node) => node.tag !== 0x02)) return undefined;
  const s = root.inner[1]!;
  const value = BigInt(`0x${s.content.toString("hex") || "0"}`);
  if (value === 0n || value >= P256_ORDER) return undefined;
  const digits = (P256_ORDER - value).toString(16);
  const other = Buffer.from(digits.length % 2 === 0 ? digits : `0${digits}`, "hex");
  s.content = other[0]! >= 0x80 ? Buffer.concat([Buffer.from([0]), other]) : other;
  return encodeNode(root);
}

// Where JSON's own characters stand, outside strings.
function joints(text: string): number[] {
  const found: number[] = [];
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '"' && text[i - 1] !== "\\") inString = !inString;
    if (!inString && "{}[]:,".includes(text[i]!)) found.push(i);
  }
  return found;
}

const isNumber = (path: Path): boolean => /^(logIndex|treeSize|integratedTime)$/.test(String(path.at(-1)));

/** Every way, by name. */
export const MUTATIONS: Readonly<Record<string, Mutation>> = {
  "a bit of the text flipped": (good, _others, random) => {
    const bytes = Buffer.from(good);
    const place = random.below(bytes.length);
    bytes[place]! ^= 1 << random.below(8);
    return { text: bytes, how: `octet ${place}` };
  },
  "a bit of a value flipped": (good, _others, random) =>
    inOctets(
      good,
      random,
      () => true,
      (octets) => {
        // From the front as often as from anywhere: lengths and tags stand in front.
        const place = random.below(random.below(2) === 0 ? Math.min(octets.length, 32) : octets.length);
        octets[place]! ^= 1 << random.below(8);
        return [octets, `bit in octet ${place}`];
      },
    ),
  "the text cut at a field": (good, _others, random) => {
    const place = random.of(joints(good).filter((joint) => joint < good.length - 1));
    return { text: good.slice(0, place + random.below(2)), how: `at ${place}` };
  },
  "a value cut": (good, _others, random) =>
    inOctets(
      good,
      random,
      () => true,
      (octets) => {
        const size = random.below(octets.length);
        return [octets.subarray(0, size), `to ${size} octets`];
      },
    ),
  "a value of another length": (good, _others, random) =>
    inOctets(
      good,
      random,
      () => true,
      (octets) =>
        random.of<[Uint8Array, string]>([
          [Buffer.concat([octets, Buffer.from([random.below(256)])]), "one octet behind"],
          [Buffer.concat([Buffer.from([0]), octets]), "one octet in front"],
          [Buffer.concat([octets, octets]), "twice"],
        ]),
    ),
  "a field left out": (good, _others, random) => {
    const path = random.of(pathsOf(JSON.parse(good)));
    return { text: spelled(good, path, undefined), how: path.join(".") };
  },
  "a field of another bundle": (good, others, random) => {
    const tree: Tree = JSON.parse(good);
    const other: Tree = JSON.parse(random.of(others));
    const paths = pathsOf(tree).filter((path) => at(other, path) !== undefined);
    if (paths.length === 0) return undefined;
    const path = random.of(paths);
    return { text: spelled(good, path, JSON.stringify(at(other, path))), how: path.join(".") };
  },
  "two fields of another bundle": (good, others, random) => {
    const other: Tree = JSON.parse(random.of(others));
    let text = good;
    const told: string[] = [];
    for (let i = 0; i < 2; i++) {
      const paths = pathsOf(JSON.parse(text)).filter((path) => path.length > 1 && at(other, path) !== undefined);
      if (paths.length === 0) return undefined;
      const path = random.of(paths);
      text = spelled(text, path, JSON.stringify(at(other, path)));
      told.push(path.join("."));
    }
    return { text, how: told.join(" and ") };
  },
  "a field of the same bundle elsewhere": (good, _others, random) => {
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree);
    const [from, to] = [random.of(paths), random.of(paths)];
    return { text: spelled(good, to, JSON.stringify(at(tree, from))), how: `${from.join(".")} as ${to.join(".")}` };
  },
  "a field of another type": (good, _others, random) => {
    const path = random.of(pathsOf(JSON.parse(good)));
    const raw = random.of([
      "null",
      "true",
      "0",
      "-1",
      "1e300",
      '""',
      '"x"',
      '"AAAA"',
      "[]",
      "[[]]",
      "{}",
      '{"x":1}',
      '"\\u0000"',
    ]);
    return { text: spelled(good, path, raw), how: `${path.join(".")} = ${raw}` };
  },
  "a name twice": (good, others, random) => {
    const tree: Tree = JSON.parse(good);
    const objects = [[], ...pathsOf(tree)].filter((path) => {
      const value = at(tree, path);
      return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0;
    });
    const path = random.of(objects);
    const object = at(tree, path);
    const name = random.of(Object.keys(object));
    const theirs = at(JSON.parse(random.of(others)), [...path, name]);
    const value = JSON.stringify(random.below(2) === 0 || theirs === undefined ? object[name] : theirs);
    const [first] = name;
    const again = random.of([JSON.stringify(name), `"\\u${first!.charCodeAt(0).toString(16).padStart(4, "0")}${name.slice(1)}"`]);
    const inner = JSON.stringify(object).slice(1, -1);
    const raw = random.below(2) === 0 ? `{${inner},${again}:${value}}` : `{${again}:${value},${inner}}`;
    return { text: path.length === 0 ? raw : spelled(good, path, raw), how: `${[...path, name].join(".")}`, never: true };
  },
  "both spellings of a name": (good, _others, random) => {
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree).filter((path) => /[a-z][A-Z]/.test(String(path.at(-1))));
    const path = random.of(paths);
    const object = { ...at(tree, path.slice(0, -1)) };
    const snake = String(path.at(-1)).replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    object[snake] = object[path.at(-1)!];
    const raw = JSON.stringify(object);
    return { text: path.length === 1 ? raw : spelled(good, path.slice(0, -1), raw), how: path.join("."), never: true };
  },
  "a number respelled": (good, _others, random) => {
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree).filter(isNumber);
    if (paths.length === 0) return undefined;
    const path = random.of(paths);
    const n = at(tree, path);
    const raw = random.of([
      `${n}`,
      `"${n}"`,
      `${n}.0`,
      `${n}e0`,
      `"${n}.0"`,
      `"0${n}"`,
      `"+${n}"`,
      `" ${n}"`,
      `"0x${Number(n).toString(16)}"`,
      `-${n}`,
      `"-${n}"`,
      `${BigInt(n) + (1n << 53n)}`,
      `"${BigInt(n) + (1n << 64n)}"`,
      `"${BigInt(n) + 1n}"`,
      `${n}.5`,
      "1e400",
    ]);
    return { text: spelled(good, path, raw), how: `${path.join(".")} = ${raw}` };
  },
  "text respelled": (good, _others, random) => {
    const how = random.below(4);
    if (how === 0) return { text: JSON.stringify(JSON.parse(good), undefined, 2), how: "indented" };
    if (how === 1) return { text: `${good}${random.of(["\n", " ", "\t\r\n", "x", "{}", "\u0000"])}`, how: "something behind" };
    if (how === 2) return { text: `${random.of(["\ufeff", " ", "\n", "// \n"])}${good}`, how: "something in front" };
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree).filter((path) => typeof at(tree, path) === "string" && at(tree, path) !== "");
    const path = random.of(paths);
    const value: string = at(tree, path);
    const raw = `"${[...value].map((character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`).join("")}"`;
    return { text: spelled(good, path, raw), how: `${path.join(".")} escaped` };
  },
  "base64 respelled": (good, _others, random) => {
    const tree: Tree = JSON.parse(good);
    const path = random.of(octetPaths(tree));
    const value: string = at(tree, path);
    const spelling = random.of([
      value.replaceAll("+", "-").replaceAll("/", "_"),
      value.replace(/=+$/, ""),
      `${value}=`,
      `${value}\n`,
      `${value.slice(0, 4)} ${value.slice(4)}`,
      `${value}!`,
      value.replace(/.(=+)$/, "/$1"),
    ]);
    return spelling === value
      ? undefined
      : { text: spelled(good, path, JSON.stringify(spelling)), how: path.join("."), never: true };
  },
  "a list changed": (good, others, random) => {
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree).filter((path) => Array.isArray(at(tree, path)));
    if (paths.length === 0) return undefined;
    const path = random.of(paths);
    const list: unknown[] = at(tree, path);
    const theirs: unknown = at(JSON.parse(random.of(others)), path);
    const changed = random.of<unknown[]>([
      list.toReversed(),
      [...list, ...list],
      list.slice(1),
      list.slice(0, -1),
      Array.isArray(theirs) ? [...list, ...theirs] : [...list, {}],
      Array.isArray(theirs) ? [...theirs, ...list] : [null, ...list],
    ]);
    return { text: spelled(good, path, JSON.stringify(changed)), how: `${path.join(".")} of ${changed.length}` };
  },
  "a list or text without end": (good, _others, random) => {
    const tree: Tree = JSON.parse(good);
    const path = random.of(pathsOf(tree));
    const value = at(tree, path);
    const raw = random.of([
      JSON.stringify(Array.from({ length: 2000 }, () => value)),
      "[".repeat(20_000),
      `${"[".repeat(5000)}${"]".repeat(5000)}`,
      JSON.stringify("A".repeat(1 << 20)),
      JSON.stringify(`${"MIAw".repeat(100_000)}`),
      `{${Array.from({ length: 5000 }, (_, i) => `"k${i}":0`).join(",")}}`,
    ]);
    return { text: spelled(good, path, raw), how: `${path.join(".")}, ${raw.length} characters` };
  },
  "DER inside changed": inDer,
  "JSON inside respelled": (good, _others, random) =>
    inOctets(good, random, isJson, (octets) => {
      const text = octets.toString();
      const inner: Tree = JSON.parse(text);
      return random.of<[Uint8Array, string]>([
        [Buffer.from(JSON.stringify(inner, undefined, 1)), "indented"],
        [Buffer.from(`${text}\n`), "a line end behind"],
        [Buffer.from(text.replace("{", '{"x":1,')), "a member more"],
        [Buffer.from(text.replace(/"(\w+)":/, '"$1":0,"$1":')), "a name twice"],
      ]);
    }),
  "the checkpoint rewritten": (good, others, random) => {
    const tree: Tree = JSON.parse(good);
    const paths = pathsOf(tree).filter((path) => path.at(-1) === "envelope");
    if (paths.length === 0) return undefined;
    const path = random.of(paths);
    const note: string = at(tree, path);
    const lines = note.split("\n");
    const line = random.below(lines.length);
    const theirs: unknown = at(JSON.parse(random.of(others)), path);
    const changed = random.of([
      lines.toSpliced(line, 1).join("\n"),
      lines.toSpliced(line, 0, lines[line]!).join("\n"),
      lines.toSpliced(line, 0, "").join("\n"),
      note.replaceAll("\n", "\r\n"),
      `${note}— witness.example AAAAAAAAAAAAAAAA\n`,
      `${note}behind\n`,
      note.replace(/\n(\d+)\n/, "\n0$1\n"),
      note.replace(/\n(\d+)\n/, (_, size: string) => `\n${BigInt(size) + 1n}\n`),
      typeof theirs === "string" ? `${note.split("\n\n")[0]}\n\n${theirs.split("\n\n")[1]}` : "",
      note.toUpperCase(),
    ]);
    return changed === note
      ? undefined
      : { text: spelled(good, path, JSON.stringify(changed)), how: `${path.join(".")}, line ${line}` };
  },
  "the twin of a signature": (good, _others, random) =>
    inOctets(
      good,
      random,
      (octets) => twinSignature(octets) !== undefined,
      (octets) => [twinSignature(octets)!, "n − s"],
    ),
};
