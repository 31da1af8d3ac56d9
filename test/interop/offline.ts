// SPDX-License-Identifier: Apache-2.0
// npm run offline: every verb and form of verification, in a network namespace that holds nothing, under strace, where
// any call at all that has to do with sockets fails it: not "no packet left", but "nobody so much as asked for a socket".
//
// What is verified is made first by an installation that has ended by then. Refusals are tried like acceptances: a
// verifier that phones home only when something is wrong is no better. The last line is `N passed, N failed`.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ROOT, scratch } from "../harness.ts";
import { makeFresh, type Fresh } from "../fresh.ts";

const MAIN = join(ROOT, "packages", "cli", "src", "main.ts");

interface Outcome {
  readonly status: number | null;
  readonly said: string;
  /** Lines of strace that name a call. */
  readonly calls: readonly string[];
}

/**
 * Runs a program in an empty network, watched. By way of io_uring a process could open sockets that strace does not see,
 * so the kernel is made to say that it has none; Node, which asks for one for its event loop, does without.
 */
function watched(cwd: string, command: readonly string[], stdin?: string): Outcome {
  const folder = mkdtempSync(join(tmpdir(), "lacre-offline-"));
  const trace = join(folder, "trace");
  const output = join(folder, "output");
  // Files, not pipes: a pipe to this process would itself be a socket.
  const out = openSync(output, "w");
  const input = stdin === undefined ? undefined : openSync(stdin, "r");
  try {
    const watch = ["-e", "trace=%network,io_uring_setup", "-e", "inject=io_uring_setup:error=ENOSYS", "-e", "signal=none"];
    const { status } = spawnSync("unshare", ["-rn", "strace", "-f", "-qq", ...watch, "-o", trace, "--", ...command], {
      cwd,
      stdio: [input ?? "ignore", out, out],
      timeout: 60_000,
    });
    const calls = readFileSync(trace, "utf8")
      .split("\n")
      .filter((line) => /\w\(/.test(line) && !/io_uring_setup\(.*\(INJECTED\)$/.test(line));
    return { status, said: readFileSync(output, "utf8"), calls };
  } finally {
    closeSync(out);
    if (input !== undefined) closeSync(input);
    rmSync(folder, { recursive: true, force: true });
  }
}

const NODE = [process.execPath, "--conditions=source"];

/** Proof that the watch sees what it is for. Returns what is wrong with it. */
function trapFails(): string | undefined {
  for (const [what, program] of Object.entries({
    "a connection": "require('net').connect(1).on('error', () => {})",
    "a look-up of a name": "require('dns').lookup('example.com', () => {})",
    "a datagram": "require('dgram').createSocket('udp4').send('x', 9, '127.0.0.1', () => process.exit())",
    "a connection to a path": "require('net').connect('/nothing').on('error', () => {})",
    "a fetch": "fetch('http://127.0.0.1:7801').catch(() => {})",
  })) {
    if (!watched(ROOT, [process.execPath, "-e", program]).calls.some((call) => call.includes("socket("))) return what;
  }
  const idle = watched(ROOT, [process.execPath, "-e", "0"]);
  return idle.calls.length === 0 && idle.status === 0
    ? undefined
    : `nothing at all (${idle.status}, ${idle.calls[0] ?? idle.said})`;
}

interface Line {
  readonly args: readonly string[];
  readonly status: number;
  readonly words: RegExp;
  readonly stdin?: string;
  /** It runs git, with which Node talks over a pair of sockets that has no address: no other may be made. */
  readonly runsGit?: true;
}

function linesOf({ folder, dir, trustedRoot, identity, issuer, predicateType, bundles }: Fresh): Record<string, Line> {
  const who = ["--certificate-identity", identity, "--certificate-oidc-issuer", issuer];
  const root = ["--trusted-root", trustedRoot];
  const lines: Record<string, Line> = {};
  const good = (name: string, ...args: readonly string[]): void => void (lines[name] = { args, status: 0, words: /Verified OK/ });
  for (const { file, log, content, signer } of bundles) {
    const by = signer === "key" ? ["--key", "k.pub"] : who;
    const where = log === "none" ? ["--insecure-ignore-tlog"] : root;
    const verb = content === "message" ? ["verify-blob"] : ["verify-blob-attestation", "--type", predicateType];
    good(`${verb[0]} ${file}`, ...verb, "app", "--bundle", file, ...by, ...where);
    good(`verify ${file} --offline`, "verify", "./app", "--bundle", file, ...by, ...where, "--offline");
    lines[`${verb[0]} ${file}, another artifact`] = {
      args: [...verb, "other", "--bundle", file, ...by, ...where],
      status: 1,
      words: /ARTIFACT_MISMATCH|SIGNATURE_INVALID/,
    };
    if (log !== "none") {
      lines[`${verb[0]} ${file}, another signer`] = {
        args: [
          ...verb,
          "app",
          "--bundle",
          file,
          ...root,
          ...(signer === "key" ? who : ["--certificate-identity", "me@example.com", "--certificate-oidc-issuer", issuer]),
        ],
        status: 1,
        words: /IDENTITY_MISMATCH|POLICY_MISMATCH/,
      };
    }
  }
  const sealed = ["--bundle", "v2.message.certificate", ...who];
  good("trust from --dir", "verify", "./app", ...sealed, "--dir", dir);
  good("trust that is remembered", "verify", "./app", ...sealed, "--offline");
  good("several artifacts, one of them twice", "verify", "./app", "./app", ...sealed, ...root);
  const old = writeOldForms(folder);
  good("old bundle document", "verify-blob", "app", "--bundle", old.bundle, ...who, ...root);
  good(
    "detached signature and key",
    "verify-blob",
    "app",
    "--signature",
    old.signature,
    "--key",
    "k.pub",
    "--insecure-ignore-tlog",
  );
  lines["detached signature and certificate, no log entry"] = {
    args: ["verify-blob", "app", "--signature", old.signature, "--certificate", old.certificate, ...who, ...root],
    status: 1,
    words: /LOG_ENTRY_MISSING/,
  };
  const layout = "oci-layout:layout";
  const passes = (name: string, words: RegExp, ...args: readonly string[]): void =>
    void (lines[name] = { args, status: 0, words });
  passes("image layout, by identity", /docker-manifest-digest/, "verify", layout, ...who, ...root);
  passes("image layout, by key, --offline", /docker-manifest-digest/, "verify", layout, "--key", "k.pub", ...root, "--offline");
  passes("image layout, cosign's spelling", /docker-manifest-digest/, "verify", "--local-image", "layout", ...who, ...root);
  passes("image layout, a statement", /payloadType/, "verify-attestation", layout, "--type", predicateType, ...who, ...root);
  lines["image layout, another signer"] = {
    args: ["verify", layout, "--certificate-identity", "me@example.com", "--certificate-oidc-issuer", issuer, ...root],
    status: 12,
    words: /IDENTITY_MISMATCH/,
  };
  const ruled = ["--policy-file", "policy.yaml", "--bundle", "v2.message.certificate", "--bundle", "v2.statement.certificate"];
  passes("by a policy file", /./, "verify", "./app", ...ruled, ...root);
  lines["by a policy file, another artifact"] = { args: ["verify", "./other", ...ruled, ...root], status: 1, words: /./ };
  passes("a policy learnt", /you@example\.com/, "policy", "learn", "./app", "--bundle", "v2.message.certificate", ...root);
  passes("what a policy wants", /you@example\.com/, "policy", "explain", "policy.yaml");
  passes("a bundle looked into", /./, "bundle", "inspect", "v2.message.certificate");
  passes("what a bundle claims", /Nothing of it was checked/, "explain", "v2.message.certificate");
  const made = writeCommit(folder);
  lines["a commit by gitsign"] = {
    args: ["verify-commit", made.commit, ...made.who],
    status: 0,
    words: /Verified OK/,
    runsGit: true,
  };
  lines["a commit, another signer"] = {
    runsGit: true,
    args: ["verify-commit", made.commit, ...made.who.with(1, "me@example.com")],
    status: 1,
    words: /IDENTITY_MISMATCH/,
  };
  passes("what lies beside an image", /layout/, "tree", layout);
  lines["a digest"] = { args: ["verify", digestOf(folder), ...sealed, ...root], status: 0, words: /Verified OK/ };
  lines["standard input"] = {
    args: ["verify-blob", "-", ...sealed, ...root],
    status: 0,
    words: /Verified OK/,
    stdin: join(folder, "app"),
  };
  lines["as JSON"] = { args: ["verify", "./app", ...sealed, ...root, "-o", "json"], status: 0, words: /"outcome":"verified"/ };
  lines["no bundle"] = { args: ["verify", "./other", ...who, ...root], status: 3, words: /there is no seal for/ };
  lines["no identity"] = {
    args: ["verify", "./app", "--bundle", "v2.message.certificate", ...root],
    status: 2,
    words: /POLICY_MISSING/,
  };
  lines["a damaged bundle"] = { args: ["verify", "./app", "--bundle", "app", ...who, ...root], status: 1, words: /BAD_JSON/ };
  lines["--help"] = { args: ["verify", "--help"], status: 0, words: /--certificate-identity/ };
  return lines;
}

/** A bundle of log v1 as cosign wrote it before there were bundles, and its parts in files. */
function writeOldForms(folder: string): { readonly bundle: string; readonly signature: string; readonly certificate: string } {
  const read = (file: string): { [key: string]: any } => JSON.parse(readFileSync(join(folder, file), "utf8"));
  const { messageSignature, verificationMaterial } = read("v1.message.certificate");
  const [entry] = verificationMaterial.tlogEntries;
  const pem = `-----BEGIN CERTIFICATE-----\n${verificationMaterial.certificate.rawBytes.replaceAll(/.{1,64}/g, "$&\n")}-----END CERTIFICATE-----\n`;
  const document = {
    base64Signature: messageSignature.signature,
    cert: Buffer.from(pem).toString("base64"),
    rekorBundle: {
      SignedEntryTimestamp: entry.inclusionPromise.signedEntryTimestamp,
      Payload: {
        body: entry.canonicalizedBody,
        integratedTime: Number(entry.integratedTime),
        logIndex: Number(entry.logIndex),
        logID: Buffer.from(entry.logId.keyId, "base64").toString("hex"),
      },
    },
  };
  writeFileSync(join(folder, "old.json"), JSON.stringify(document));
  writeFileSync(join(folder, "old.pem"), pem);
  writeFileSync(join(folder, "old.sig"), read("none.message.key")["messageSignature"].signature);
  return { bundle: "old.json", signature: "old.sig", certificate: "old.pem" };
}

/** A repository with a commit that gitsign signed, from the vectors. */
function writeCommit(folder: string): { readonly commit: string; readonly who: readonly string[] } {
  const vectors = join(ROOT, "vectors", "gitsign");
  spawnSync("git", ["init", "--quiet"], { cwd: folder });
  const { stdout } = spawnSync("git", ["hash-object", "-w", "--literally", "-t", "commit", join(vectors, "offline.commit")], {
    cwd: folder,
    encoding: "utf8",
  });
  const who = ["--certificate-identity", "release@example.com", "--certificate-oidc-issuer", "http://localhost:41055/oidc"];
  return { commit: stdout.trim(), who: [...who, "--trusted-root", join(vectors, "trusted_root.json")] };
}

function digestOf(folder: string): string {
  const { stdout } = spawnSync("sha256sum", [join(folder, "app")], { encoding: "utf8" });
  return `sha256:${stdout.split(" ")[0]}`;
}

for (const part of ["strace", "unshare"]) {
  if (spawnSync(part, ["--version"], { stdio: "ignore" }).status !== 0) {
    console.error(`${part} is absent: scripts/parts/debian strace`);
    process.exit(1);
  }
}
const broken = trapFails();
if (broken !== undefined) {
  console.error(`the watch does not work: it fails with ${broken}`);
  process.exit(1);
}
const work = scratch("offline");
let passed = 0;
let failed = 0;
try {
  const fresh = await makeFresh(work.path);
  const lines = linesOf(fresh);
  const chosen = process.argv.slice(2);
  for (const [name, { args, status, words, stdin, runsGit = false }] of Object.entries(lines)) {
    if (chosen.length > 0 && !chosen.some((word) => name.includes(word))) continue;
    const outcome = watched(fresh.folder, [...NODE, MAIN, ...args], stdin);
    const calls = outcome.calls.filter((call) => !runsGit || /\b(?:socket|connect|bind)\(|\bsocketpair\((?!AF_UNIX,)/.test(call));
    const wrong =
      calls.length > 0
        ? `it asked for a socket: ${calls[0]}`
        : outcome.status !== status
          ? `status ${outcome.status} in place of ${status}`
          : words.test(outcome.said)
            ? undefined
            : "it said something else";
    if (wrong === undefined) passed++;
    else failed++;
    console.log(
      wrong === undefined
        ? `ok     ${name}`
        : `FAILED ${name}: ${wrong}\n       lacre ${args.join(" ")}\n${outcome.said.trimEnd().replaceAll(/^/gm, "       ")}`,
    );
  }
} finally {
  work.remove();
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
