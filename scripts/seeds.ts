// SPDX-License-Identifier: Apache-2.0
// node scripts/seeds.ts [--write]: the TUF root of the public instance that `lacre initialize` begins with, as @sigstore/tuf
// (Apache-2.0) ships it. Without --write it says whether packages/cli/src/seeds.ts is older than the installed package's.
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const file = join(root, "packages", "cli", "src", "seeds.ts");
const require = createRequire(import.meta.url);
const { version } = require("@sigstore/tuf/package.json") as { version: string };
const seeds = require("@sigstore/tuf/seeds.json") as Record<string, { "root.json": string }>;
const [[mirror, seed]] = Object.entries(seeds) as [[string, { "root.json": string }]];
const { signed } = JSON.parse(Buffer.from(seed["root.json"], "base64").toString()) as { signed: { version: number } };

const text = `// SPDX-License-Identifier: Apache-2.0
/**
 * The public instance of Sigstore: where its TUF repository is, and the root that \`lacre initialize\` begins with when nothing
 * else is said. Written by scripts/seeds.ts from @sigstore/tuf ${version} (The Sigstore Authors, Apache-2.0): root version
 * ${signed.version}. It is the beginning of a chain alone: newer roots are signed by older ones, and what is in force comes from the
 * repository.
 */
export const PUBLIC_MIRROR = ${JSON.stringify(mirror)};

/** The root's document, in base64. */
export const PUBLIC_ROOT: string = [
${seed["root.json"]
  .match(/.{1,120}/g)!
  .map((line) => `  ${JSON.stringify(line)},`)
  .join("\n")}
].join("");
`;

if (process.argv.includes("--write")) writeFileSync(file, text);
else if (readFileSync(file, "utf8") !== text) {
  console.log(`packages/cli/src/seeds.ts is not what @sigstore/tuf ${version} ships: node scripts/seeds.ts --write`);
  process.exit(1);
}
