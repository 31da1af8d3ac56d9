// SPDX-License-Identifier: Apache-2.0
// tuf-js as a program: tuf-js.ts URL ROOT FOLDER — refreshes and downloads the trusted root.
import { copyFileSync, existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { Updater } from "tuf-js";

const [url, root, folder] = process.argv.slice(2) as [string, string, string];
if (!existsSync(join(folder, "root.json"))) copyFileSync(root, join(folder, "root.json"));
mkdirSync(join(folder, "targets"), { recursive: true });
const updater = new Updater({
  metadataBaseUrl: url,
  metadataDir: folder,
  targetBaseUrl: `${url}/targets`,
  targetDir: join(folder, "targets"),
});
await updater.refresh();
const info = await updater.getTargetInfo("trusted_root.json");
if (info === undefined) throw new Error("no trusted_root.json");
console.log(await updater.downloadTarget(info));
