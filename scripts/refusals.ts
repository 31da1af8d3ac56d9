// SPDX-License-Identifier: Apache-2.0
// The promise: docs/refusals.md shows what the command says. `--write` makes the page.
//
// Each situation is brought about, the command is run in this process, and what it prints stands on the page as it is, but
// for ids that differ with every key.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { toBase64, utf8 } from "@lacre/core/bytes";
import { runLine } from "../packages/cli/src/run.ts";
import type { Context } from "../packages/cli/src/context.ts";
import { createRegistry, HOST, putBlob, putImage, putManifest } from "../test/cli/registry.ts";
import { createWorld } from "../test/cli/world.ts";
import type { TestRegistry } from "../test/registry.ts";
import {
  bytesOf,
  createWorkshop,
  flip,
  IDENTITY,
  inBase64,
  ISSUER,
  NOW_MS,
  seal,
  type Mutable,
} from "../test/workshop/workshop.ts";

const PAGE = join(dirname(import.meta.dirname), "docs", "refusals.md");
const YEAR_MS = 365 * 24 * 3600_000;
const WHO = ["--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER];
const ROOT = ["--trusted-root", "trusted_root.json"];
const BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json";
const SIGN = "https://sigstore.dev/cosign/sign/v1";

interface Situation {
  readonly title: string;
  /** What has happened, and how to go on. */
  readonly prose: string;
  readonly line: readonly string[];
  readonly given?: Partial<Pick<Context, "now" | "fetch" | "env">>;
  readonly status: number;
}

const workshop = createWorkshop();
const folder = mkdtempSync(join(tmpdir(), "lacre-refusals-"));
const write = (name: string, content: string | Uint8Array): void => writeFileSync(join(folder, name), content);

/** An image with a signature beside it. `about`: another image that the signature speaks of. */
function signImage(
  registry: TestRegistry,
  image: { digest: string; mediaType: string; size: number },
  about = image.digest,
): void {
  const { bundle } = seal(workshop, {
    content: "dsse",
    statement: (statement: Mutable) => ({
      ...statement,
      predicateType: SIGN,
      subject: [{ name: "app", digest: { sha256: about.slice("sha256:".length) } }],
    }),
  });
  putManifest(registry, "app", {
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.manifest.v1+json",
    artifactType: BUNDLE,
    config: putBlob(registry, "app", "application/vnd.oci.empty.v1+json", utf8("{}")),
    layers: [putBlob(registry, "app", BUNDLE, bytesOf(bundle))],
    annotations: { "dev.sigstore.bundle.content": "dsse-envelope", "dev.sigstore.bundle.predicateType": SIGN },
    subject: image,
  });
}

function registryOf(...images: readonly ("signed" | "unsigned" | "another's")[]): TestRegistry {
  const registry = createRegistry();
  let first: string | undefined;
  images.forEach((kind, at) => {
    const image = putImage(registry, "app", "v1", `content ${at}`);
    first ??= image.digest;
    if (kind === "signed") signImage(registry, image);
    if (kind === "another's") signImage(registry, image, first);
  });
  return registry;
}

function prepare(): readonly Situation[] {
  const good = seal(workshop, { timestamp: true });
  write("app", good.artifact);
  write("other", "something else\n");
  write("app.sigstore.json", bytesOf(good.bundle));
  write("trusted_root.json", JSON.stringify(good.root));
  const old: Mutable = structuredClone(good.root);
  for (const authority of old["certificateAuthorities"]) authority.validFor.end = new Date(NOW_MS - YEAR_MS / 2).toISOString();
  write("old_root.json", JSON.stringify(old));
  write("foreign_root.json", JSON.stringify(seal(createWorkshop()).root));
  const changed: Mutable = structuredClone(good.bundle);
  changed["messageSignature"].signature = inBase64(changed["messageSignature"].signature, (bytes) => flip(bytes));
  write("changed.json", bytesOf(changed));
  const text = JSON.stringify(good.bundle);
  write("cut.json", text.slice(0, text.indexOf("tlogEntries") + 5));
  const moved: Mutable = structuredClone(good.bundle);
  moved["verificationMaterial"].tlogEntries[0].canonicalizedBody = toBase64(utf8("{}"));
  const throttling = registryOf("signed");
  throttling.instead = () => ({ status: 429, headers: { "retry-after": "0" }, body: "slow down" });
  const gone = createRegistry();
  const verify = ["verify", "./app", "--bundle", "app.sigstore.json"];
  const image = ["verify", `${HOST}/app:v1`, ...WHO, ...ROOT];
  return [
    {
      title: "There is no bundle",
      prose:
        "Nothing was verified, because there is nothing to verify with: a seal lies beside its artifact under the artifact's\nname and `.sigstore.json`, or is named with `--bundle`. Whoever publishes the artifact has it.",
      line: ["verify", "./other", ...WHO, ...ROOT],
      status: 3,
    },
    {
      title: "The bundle is of another file",
      prose:
        "The file is not the one that was sealed: compare the two digests with what the publisher states. Either the download is\ndamaged or was exchanged, or the bundle belongs to another file or version.",
      line: ["verify", "./other", "--bundle", "app.sigstore.json", ...WHO, ...ROOT],
      status: 1,
    },
    {
      title: "Nobody said who must have signed",
      prose: "Anybody can sign anything. A verification has to say who counts, and who vouched for them.",
      line: [...verify, ...ROOT],
      status: 2,
    },
    {
      title: "Somebody else signed",
      prose:
        "The seal is good and is not by whom you asked for. If the identity found is the one that you trust, ask for that; if\nyou do not know it, do not use the file.",
      line: [...verify, "--certificate-identity", "release@example.com", "--certificate-oidc-issuer", ISSUER, ...ROOT],
      status: 1,
    },
    {
      title: "The right name, vouched for by somebody else",
      prose: "Two issuers may both know a `release@example.com`; they need not mean the same person.",
      line: [...verify, "--certificate-identity", IDENTITY, "--certificate-oidc-issuer", "https://accounts.example", ...ROOT],
      status: 1,
    },
    {
      title: "The trusted root is old",
      prose:
        "The installation has changed keys since the trusted root was fetched, so the root does not vouch for the time of this\nseal. Fetch it again: `lacre initialize` for an installation that is remembered, or the file that `--trusted-root` names.",
      line: [...verify, ...WHO, "--trusted-root", "old_root.json"],
      status: 1,
    },
    {
      title: "The trusted root is of another installation",
      prose: "None of the services that took part is in this trusted root. The last line says which root was used, and why.",
      line: [...verify, ...WHO, "--trusted-root", "foreign_root.json"],
      status: 1,
    },
    {
      title: "The trusted root is no trusted root",
      prose: "Of the files that take part, the one that cannot be read is named.",
      line: [...verify, ...WHO, "--trusted-root", "other"],
      status: 1,
    },
    {
      title: "There is no trusted root",
      prose: "lacre never downloads trust in passing, and never takes a folder that merely lies there.",
      line: [...verify, ...WHO],
      status: 3,
    },
    {
      title: "The bundle was damaged",
      prose: "One bit of the signature differs. What is dated and logged is another signature than the one in the bundle.",
      line: ["verify", "./app", "--bundle", "changed.json", ...WHO, ...ROOT],
      status: 1,
    },
    {
      title: "The bundle was cut off",
      prose: "A download that broke off, or a file of another kind.",
      line: ["verify", "./app", "--bundle", "cut.json", ...WHO, ...ROOT],
      status: 1,
    },
    {
      title: "The clock is five years behind",
      prose:
        "The times in a seal are the word of services in the trusted root; one that lies ahead of this machine's clock means that\none of the two is wrong.",
      line: [...verify, ...WHO, ...ROOT],
      given: { now: () => NOW_MS - 5 * YEAR_MS },
      status: 1,
    },
    {
      title: "The clock is five years ahead",
      prose:
        "No harm: whether a certificate was valid is judged at the time that the services proved, not by this machine's clock.",
      line: [...verify, ...WHO, ...ROOT],
      given: { now: () => NOW_MS + 5 * YEAR_MS },
      status: 0,
    },
    {
      title: "The image has no signature",
      prose: "The registry was asked and has none, neither by the referrers API nor under the older tags.",
      line: image,
      given: { fetch: registryOf("unsigned").fetch },
      status: 10,
    },
    {
      title: "The tag moved",
      prose:
        "`v1` was signed, and then pushed again. The image that the tag names now has no signature of its own; the digest is\nthat of the image that was looked at. To stay with what was signed, name it by digest.",
      line: image,
      given: { fetch: registryOf("signed", "unsigned").fetch },
      status: 10,
    },
    {
      title: "The signature is of another image",
      prose: "Somebody put the signature of one image beside another.",
      line: image,
      given: { fetch: registryOf("unsigned", "another's").fetch },
      status: 12,
    },
    {
      title: "There is no such image",
      prose: "The registry answered, and does not know the name or the tag.",
      line: image,
      given: { fetch: gone.fetch },
      status: 11,
    },
    {
      title: "The registry is too busy to answer",
      prose: 'Nothing was found out: this is not "unsigned". Wait, or sign in: registries throttle anonymous readers first.',
      line: image,
      given: { fetch: throttling.fetch },
      status: 3,
    },
  ];
}

/** A line as people write it. */
function shown(line: readonly string[]): string {
  const words = line.map((word) => (/^[\w./:@=-]+$/.test(word) ? word : `'${word}'`));
  let text = "$ lacre";
  let width = text.length;
  for (const word of words) {
    const breaks = width + word.length > 100 && word.startsWith("--");
    text += breaks ? ` \\\n    ${word}` : ` ${word}`;
    width = breaks ? 4 + word.length : width + 1 + word.length;
  }
  return text;
}

// Ids of keys, and the registry's digests of signatures, which differ with every key.
function steady(text: string, keep: ReadonlySet<string>): string {
  return text
    .replaceAll(/\b[0-9a-f]{64}\b/g, (digits) => (keep.has(digits) ? digits : "<id>"))
    .replaceAll(/\b\d+ octets\b/g, "<n> octets");
}

async function render(situations: readonly Situation[]): Promise<string> {
  const parts: string[] = [];
  for (const { title, prose, line, given = {}, status } of situations) {
    const world = createWorld({ cwd: folder, now: () => NOW_MS, env: { HOME: folder }, ...given });
    const ended = await runLine(line, world.context);
    const said = `${world.stdout()}${world.stderr()}`.trimEnd();
    if (ended !== status) throw new Error(`"${title}" ended with ${ended} and not ${status}:\n${said}`);
    parts.push(`## ${title}\n\n${prose}\n\n\`\`\`text\n${shown(line)}\n${said}\n[exit ${ended}]\n\`\`\`\n`);
  }
  return parts.join("\n");
}

try {
  const keep = new Set<string>();
  const { createHash } = await import("node:crypto");
  const situations = prepare();
  for (const name of ["app", "other"])
    keep.add(
      createHash("sha256")
        .update(readFileSync(join(folder, name)))
        .digest("hex"),
    );
  for (const digest of registryOf("signed", "unsigned").repo("app").manifests.keys()) keep.add(digest.slice(7));
  const text = `<!-- Made by scripts/refusals.ts --write from what the command says; a check compares both. -->
# Refusals, as they look

What the command says when something is not as it should be, and how to go on. Each block is the real output. The codes
in brackets are stable and listed in [errors.md](errors.md); \`--output json\` gives the same as data, and
\`lacre explain\` tells a saved verdict check by check.

Three kinds of bad news are never confused: it was looked at and **refused** (exit 1; for images 12), there is **no
signature** (a missing bundle: exit 3; images: 10), and it **could not be looked at** (exit 3).

${steady(await render(situations), keep)}`;
  if (process.argv.includes("--write")) writeFileSync(PAGE, text);
  else if (readFileSync(PAGE, "utf8") !== text) {
    console.error("docs/refusals.md does not show what the command says: node scripts/launch.js scripts/refusals.ts --write");
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
