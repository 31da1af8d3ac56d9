// SPDX-License-Identifier: Apache-2.0
/**
 * The command-line protocol of tuf-conformance (docs/CLIENT-CLI.md of that project), over the client that
 * `lacre initialize` uses.
 *
 *     tuf-client --metadata-dir DIR init ROOT
 *     tuf-client --metadata-dir DIR --metadata-url URL refresh
 *     tuf-client --metadata-dir DIR --metadata-url URL --target-name NAME [--target-name NAME…]
 *                --target-dir DIR --target-base-url URL download
 *
 * Exit status: 0 done, 1 refused, whatever the reason; one line on stderr says it.
 */
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeWhole } from "../../packages/cli/src/home.ts";
import { openTufClient, type Source } from "../../packages/cli/src/tuf/client.ts";

const TIMEOUT_MS = 60_000;

async function read(url: string, limit: number): Promise<Uint8Array | undefined> {
  const answer = await fetch(url, { redirect: "error", signal: AbortSignal.timeout(TIMEOUT_MS) });
  if (answer.status === 404 || answer.status === 403) return undefined;
  if (!answer.ok || answer.body === null) throw new Error(`${url} answers with status ${answer.status}`);
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of answer.body) {
    length += part.length;
    if (length > limit) throw new Error(`${url} is longer than ${limit} octets`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function main(): Promise<void> {
  const text = { type: "string" } as const;
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      "metadata-dir": text,
      "metadata-url": text,
      "target-name": { type: "string", multiple: true },
      "target-base-url": text,
      "target-dir": text,
    },
  });
  const need = (name: "metadata-dir" | "metadata-url" | "target-base-url" | "target-dir"): string => {
    const value = values[name];
    if (value === undefined) throw new Error(`--${name} is missing`);
    return value;
  };
  const [command, root] = positionals;
  const metadataDir = need("metadata-dir");
  if (command === "init" && root !== undefined) {
    await mkdir(metadataDir, { recursive: true });
    return writeWhole(join(metadataDir, "root.json"), await readFile(root), 0o644);
  }
  if (command !== "refresh" && command !== "download")
    throw new Error("usage: tuf-client --metadata-dir DIR … init ROOT | refresh | download");
  const base = need("metadata-url").replace(/\/+$/, "");
  const source: Source = {
    metadata: (name, limit) => read(`${base}/${name}`, limit),
    async target(path, limit) {
      const url = `${need("target-base-url").replace(/\/+$/, "")}/${path}`;
      const bytes = await read(url, limit);
      if (bytes === undefined) throw new Error(`${url} is not there`);
      return bytes;
    },
  };
  const client = await openTufClient({ metadataDir, source });
  await client.refresh();
  if (command === "refresh") return;
  for (const name of values["target-name"] ?? []) {
    const facts = await client.findTarget(name);
    if (facts === undefined) throw new Error(`no role lists ${JSON.stringify(name)}`);
    await client.downloadTarget(facts, need("target-dir"));
  }
}

await main().catch((error: unknown) => {
  process.stderr.write(`refused: ${(error as Error).message.split("\n")[0]!}\n`);
  process.exitCode = 1;
});
