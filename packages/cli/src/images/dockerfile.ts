// SPDX-License-Identifier: Apache-2.0
/**
 * The images that a Dockerfile is built from (Dockerfile reference: FROM, ARG, COPY --from, RUN --mount=from).
 *
 *     FROM [--platform=P] IMAGE|STAGE [AS NAME]
 *     ARG NAME[=DEFAULT] …            before the first FROM: for FROM lines; of a stage: not for its images
 *     COPY --from=IMAGE|STAGE|INDEX   RUN --mount=type=bind,from=IMAGE|STAGE
 *
 * Variables are those of ARG lines before the first FROM and of the caller, with the forms ${A}, $A, ${A:-word} and
 * ${A:+word}. What cannot be resolved is refused: an image that is left out would be used and not verified.
 */
import { CliError } from "../errors.ts";
import { plain } from "../terminal.ts";

/** Images by use. */
export interface DockerfileImages {
  /** In order of use, without repetitions. */
  readonly images: readonly string[];
  /** The image under the last stage; undefined when that is `scratch`. */
  readonly base: string | undefined;
}

const MAX_BYTES = 1 << 20;

function refused(line: number, message: string, hint?: string): CliError {
  return new CliError("USAGE", `line ${line} of the Dockerfile: ${message}`, hint === undefined ? {} : { hint });
}

interface Instruction {
  readonly line: number;
  readonly name: string;
  readonly rest: string;
}

/** Reads a Dockerfile. `given`: values for ARG lines. Throws USAGE for what cannot be resolved. */
export function parseDockerfile(text: string, given: Readonly<Record<string, string>> = {}): DockerfileImages {
  if (text.length > MAX_BYTES) throw new CliError("USAGE", "the Dockerfile is larger than 1 MiB");
  const values = new Map<string, string>();
  /** Base of each stage; undefined is scratch. */
  const stages: (string | undefined)[] = [];
  const names = new Map<string, number>();
  const images = new Set<string>();
  const use = (image: string): string => {
    images.add(image);
    return image;
  };
  for (const { line, name, rest } of instructions(text)) {
    switch (name) {
      case "ARG":
        if (stages.length === 0) readArguments(rest, line, values, given);
        break;
      case "FROM": {
        const words = expand(rest, values, line)
          .split(/\s+/)
          .filter((word) => word !== "" && !word.startsWith("--"));
        const [image, as, alias, ...more] = words;
        if (image === undefined || more.length > 0 || (as !== undefined && (as.toUpperCase() !== "AS" || alias === undefined)))
          throw refused(line, `FROM is not understood: ${plain(rest).slice(0, 100)}`);
        const stage = names.get(image.toLowerCase());
        stages.push(stage !== undefined ? stages[stage] : image === "scratch" ? undefined : use(image));
        if (alias !== undefined) names.set(alias.toLowerCase(), stages.length - 1);
        break;
      }
      case "COPY":
      case "ADD":
        for (const from of flagValues(rest, "from")) useSource(from, line, stages, names, use);
        break;
      case "RUN":
        for (const mount of flagValues(rest, "mount")) {
          const from = /(?:^|,)from=([^,]*)/i.exec(mount)?.[1];
          if (from !== undefined) useSource(from, line, stages, names, use);
        }
        break;
      case "ONBUILD":
        if (/--from=|from=/i.test(rest)) throw refused(line, "ONBUILD with an image of its own is not followed");
        break;
    }
  }
  if (stages.length === 0) throw new CliError("USAGE", "the Dockerfile has no FROM line");
  return { images: [...images], base: stages.at(-1) };
}

function useSource(
  from: string,
  line: number,
  stages: readonly unknown[],
  names: ReadonlyMap<string, number>,
  use: (image: string) => string,
): void {
  if (from.includes("$"))
    throw refused(
      line,
      `an image is named by a variable: ${plain(from).slice(0, 100)}`,
      "Docker does not resolve variables there either.",
    );
  if (from === "" || names.has(from.toLowerCase()) || from === "scratch") return;
  if (/^\d+$/.test(from) && Number(from) < stages.length) return;
  use(from);
}

/** Values of `--name=value` before the instruction's own words. */
function flagValues(rest: string, name: string): readonly string[] {
  const values: string[] = [];
  for (const word of rest.trim().split(/\s+/)) {
    if (!word.startsWith("--")) break;
    if (word.toLowerCase().startsWith(`--${name}=`)) values.push(unquote(word.slice(name.length + 3)));
  }
  return values;
}

function readArguments(rest: string, line: number, values: Map<string, string>, given: Readonly<Record<string, string>>): void {
  for (const word of splitWords(rest)) {
    const cut = word.indexOf("=");
    const name = cut < 0 ? word : word.slice(0, cut);
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) throw refused(line, `ARG is not understood: ${plain(word).slice(0, 100)}`);
    if (Object.hasOwn(given, name)) values.set(name, given[name]!);
    else if (cut >= 0) values.set(name, expand(unquote(word.slice(cut + 1)), values, line));
  }
}

function splitWords(text: string): readonly string[] {
  return text.match(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g) ?? [];
}

function unquote(text: string): string {
  return text.replaceAll(
    /"([^"]*)"|'([^']*)'/g,
    (_all, double: string | undefined, single: string | undefined) => double ?? single ?? "",
  );
}

function expand(text: string, values: ReadonlyMap<string, string>, line: number): string {
  return text.replaceAll(
    /\\\$|\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)(?:(:?[-+?])([^{}$]*))?\}|)/g,
    (all: string, plainName?: string, braced?: string, operator?: string, word = "") => {
      if (all === "\\$") return "$";
      const name = plainName ?? braced;
      if (name === undefined)
        throw refused(line, `a variable is written in a form that is not understood: ${plain(text).slice(0, 100)}`);
      const value = values.get(name);
      const isSet = value !== undefined && (operator?.startsWith(":") !== true || value !== "");
      if (operator?.endsWith("+") === true) return isSet ? word : "";
      if (isSet) return value;
      if (operator?.endsWith("-") === true) return word;
      throw refused(line, `${name} has no value`, `Give it with --build-arg ${name}=VALUE.`);
    },
  );
}

/** The instructions, their continued lines joined; comments, and the bodies of here-documents, left out. */
function* instructions(text: string): Generator<Instruction> {
  const lines = text.replace(/^\uFEFF/, "").split(/\r?\n/);
  let escape = "\\";
  let areDirectives = true;
  for (let at = 0; at < lines.length; at++) {
    const line = at + 1;
    let source = lines[at]!;
    const directive = /^\s*#\s*([a-z]+)\s*=\s*(\S+)\s*$/i.exec(source);
    if (areDirectives && directive !== null) {
      if (directive[1]!.toLowerCase() === "escape") escape = directive[2]!;
      continue;
    }
    areDirectives = false;
    if (/^\s*(#|$)/.test(source)) continue;
    let joined = "";
    for (;;) {
      const body = source.trimEnd();
      if (!body.endsWith(escape)) {
        joined += source;
        break;
      }
      joined += `${body.slice(0, -1)} `;
      // Comments and empty lines inside a continued instruction are passed over.
      do at++;
      while (at < lines.length && /^\s*(#|$)/.test(lines[at]!));
      if (at >= lines.length) break;
      source = lines[at]!;
    }
    const match = /^\s*([A-Za-z]+)\s*([^]*)$/.exec(joined);
    if (match === null) throw refused(line, `it is no instruction: ${plain(joined).slice(0, 100)}`);
    const name = match[1]!.toUpperCase();
    if (name === "RUN" || name === "COPY" || name === "ADD") {
      for (const [, dash, , end] of joined.matchAll(/<<(-?)(["']?)([A-Za-z_][A-Za-z0-9_]*)\2/g)) {
        const isEnd = (one: string): boolean => (dash === "-" ? one.replace(/^\t+/, "") : one) === end;
        let found = at + 1;
        while (found < lines.length && !isEnd(lines[found]!)) found++;
        // Without its end it is a shift operator of a shell, or a broken file; then nothing is passed over.
        if (found < lines.length) at = found;
      }
    }
    yield { line, name, rest: match[2]! };
  }
}
