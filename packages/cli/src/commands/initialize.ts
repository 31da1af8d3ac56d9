// SPDX-License-Identifier: Apache-2.0
import { createHash, randomBytes } from "node:crypto";
import { rename, rm } from "node:fs/promises";
import { decodeSigningConfig, decodeTrustedRoot } from "@lacre/core/trust";
import type { Context } from "../context.ts";
import { CliError } from "../errors.ts";
import { digestOf, findHome, mirrorFolder, recallAll, remember } from "../home.ts";
import { createMirror, readTargets } from "../mirror.ts";
import { readNamed } from "../trust.ts";
import { plain } from "../terminal.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

const MAX_ROOT_BYTES = 512_000;

async function readRoot(context: Context, given: string): Promise<Uint8Array> {
  if (!/^https?:\/\//.test(given)) return readNamed(context, given);
  let answer;
  try {
    answer = await context.fetch(given, { redirect: "manual", signal: AbortSignal.timeout(30_000) });
  } catch (cause) {
    throw new CliError("MIRROR_UNREACHABLE", `${given} cannot be read: ${(cause as Error).message}`, { cause });
  }
  if (answer.status !== 200) throw new CliError("MIRROR_UNREACHABLE", `${given} answers with status ${answer.status}`);
  const bytes = new Uint8Array(await answer.arrayBuffer());
  if (bytes.length > MAX_ROOT_BYTES) throw new CliError("MIRROR_REFUSED", `${given} is too large for a root`);
  return bytes;
}

/** `HEX` or `sha256:HEX`, or `sha512:HEX`, as cosign has it. Throws USAGE, MIRROR_REFUSED. */
function checkChecksum(root: Uint8Array, given: string): void {
  const match = /^(?:(sha256|sha512):)?([0-9a-f]+)$/i.exec(given);
  if (match === null)
    throw new CliError("USAGE", `--root-checksum is neither sha256 nor sha512 in hexadecimal: ${plain(given).slice(0, 80)}`);
  const algorithm = match[1]?.toLowerCase() ?? "sha256";
  const found = createHash(algorithm).update(root).digest("hex");
  if (found !== match[2]!.toLowerCase())
    throw new CliError("MIRROR_REFUSED", `the root's checksum is ${algorithm}:${found}, not ${plain(given)}`);
}

export const verb: Verb = defineVerb({
  brief: "Remember an installation: its trust, verified by TUF",
  details: `Fetches the repository at --mirror, verifies it from --root on, and remembers it as the installation that is meant when
nothing says otherwise. Several are kept side by side; the last one initialised counts (lacre trust use chooses another).
Without flags it is the public instance of Sigstore, from the root that comes with the command.

  lacre initialize
  lacre initialize --mirror http://localhost:7800/tuf --root .lacre/trust/root.json`,
  isCosign: true,
  flags: {
    mirror: text("Address of the TUF repository", { placeholder: "url" }),
    root: text("Its first trusted root: a file or an address", { placeholder: "file|url" }),
    name: text("What to call it, for lacre trust use NAME", { placeholder: "name" }),
    rootChecksum: text("SHA-256 of the root's file, in hexadecimal", { placeholder: "hex" }),
    staging: toggle("The staging instance", { hidden: true }),
    output: choice(["text", "json"], "How to report", { alias: "o" }),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    if (flags.staging === true)
      throw new CliError("UNSUPPORTED_FLAG", "--staging cannot be honoured", {
        hint: "Give the instance's --mirror and --root.",
      });
    if (flags.mirror !== undefined && flags.root === undefined) {
      throw new CliError("USAGE", "--root is missing: what does trust in this repository begin with?", {
        hint: "Its operator publishes the root's file, and its checksum.",
      });
    }
    if (flags.mirror !== undefined && !/^(https?|file):\/\//.test(flags.mirror))
      throw new CliError("USAGE", "--mirror is not an http, https or file address");
    const { PUBLIC_MIRROR, PUBLIC_ROOT } = await import("../seeds.ts");
    const mirror = (flags.mirror ?? PUBLIC_MIRROR).replace(/\/+$/, "");
    const root = flags.root === undefined ? Buffer.from(PUBLIC_ROOT, "base64") : await readRoot(context, flags.root);
    const rootDigest = digestOf(root);
    if (flags.rootChecksum !== undefined) checkChecksum(root, flags.rootChecksum);
    if (flags.root?.startsWith("http:") === true && flags.rootChecksum === undefined)
      context.terminal.warn("the root came over plain http without --root-checksum: anybody on the way could have changed it");
    const home = findHome(context.env);
    // Laid out beside what may be remembered of this address already: that stands until this one has been verified.
    const folder = mirrorFolder(home, `${mirror} ${rootDigest}`);
    const draft = `${folder}.${randomBytes(4).toString("hex")}.new`;
    try {
      await createMirror(draft, root);
      const [trustedRoot, signingConfig] = await readTargets(
        { url: mirror, folder: draft, rootDigest, isOffline: false, fetch: context.fetch },
        ["trusted_root.json", "signing_config.v0.2.json"],
      );
      if (trustedRoot === undefined) throw new CliError("MIRROR_REFUSED", `the repository at ${mirror} has no trusted_root.json`);
      decodeTrustedRoot(trustedRoot);
      if (signingConfig === undefined)
        context.terminal.warn("the repository has no signing_config.v0.2.json: it can be verified against, not signed with");
      else decodeSigningConfig(signingConfig);
      await rm(folder, { recursive: true, force: true });
      await rename(draft, folder);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    const before = (await recallAll(home)).find((one) => one.kind === "mirror" && one.mirror === mirror);
    await remember(
      home,
      { kind: "mirror", mirror, path: folder, rootDigest, ...(flags.name === undefined ? {} : { name: flags.name }) },
      { current: "always" },
    );
    if (before !== undefined && before.path !== folder) await rm(before.path, { recursive: true, force: true });
    const count = (await recallAll(home)).length;
    if (flags.output === "json") context.terminal.result(JSON.stringify({ mirror, rootDigest, installations: count }));
    else context.terminal.say(`Remembered ${plain(mirror)} (root ${rootDigest}). It is trusted where nothing else is named.`);
  },
});
