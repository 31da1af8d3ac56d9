// SPDX-License-Identifier: Apache-2.0
/**
 * The command-line protocol of sigstore-conformance (docs/cli_protocol.md of that project).
 *
 *     client sign-bundle   [--staging] [--in-toto] --identity-token TOKEN --bundle OUT
 *                          [--trusted-root FILE] [--signing-config FILE] FILE
 *     client verify-bundle [--staging] --bundle FILE
 *                          (--certificate-identity ID --certificate-oidc-issuer URL | --key PUBLIC.pem)
 *                          [--trusted-root FILE] FILE_OR_DIGEST
 *
 * Exit status: 0 done or verified, 1 refused, 2 usage, 3 could not look (a file or a service). One line on stdout or
 * stderr says why. Nothing is fetched to verify: a trusted root has to be given.
 */
import { existsSync, readFileSync } from "node:fs";
import { fromHex, text } from "@lacre/core/bytes";
import { LacreError } from "@lacre/core/errors";

/** Ends the run with a status and a line for people. */
class Exit extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const VALUES = new Set(["--bundle", "--certificate-identity", "--certificate-oidc-issuer", "--key", "--trusted-root", "--identity-token", "--signing-config"]);
const SWITCHES = new Set(["--staging", "--in-toto"]);

interface Arguments {
  readonly values: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  readonly input: string;
}

function parseArguments(args: readonly string[]): Arguments {
  const values = new Map<string, string>();
  const switches = new Set<string>();
  const inputs: string[] = [];
  for (let at = 0; at < args.length; at++) {
    const argument = args[at]!;
    const [name, inline] = argument.startsWith("--") && argument.includes("=") ? [argument.slice(0, argument.indexOf("=")), argument.slice(argument.indexOf("=") + 1)] : [argument, undefined];
    if (SWITCHES.has(name) && inline === undefined) switches.add(name);
    else if (VALUES.has(name)) {
      const value = inline ?? args[++at];
      if (value === undefined) throw new Exit(2, `${name} needs a value`);
      if (values.has(name)) throw new Exit(2, `${name} is given twice`);
      values.set(name, value);
    } else if (argument.startsWith("-")) throw new Exit(2, `unknown option: ${argument}`);
    else inputs.push(argument);
  }
  if (inputs.length !== 1) throw new Exit(2, `expected one file, got ${inputs.length}`);
  return { values, switches, input: inputs[0]! };
}

function need({ values }: Arguments, name: string): string {
  const value = values.get(name);
  if (value === undefined) throw new Exit(2, `${name} is missing`);
  return value;
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Exit(3, `cannot read ${path}: ${error instanceof Error ? error.message : "unknown error"}`);
  }
}

async function verifyBundle(given: Arguments): Promise<string> {
  const { createVerifier, decidingCheck } = await import("@lacre/core/verify");
  const { decodeTrustedRoot } = await import("@lacre/core/trust");
  const { importPublicKey } = await import("@lacre/core/crypto");
  const { parsePem } = await import("@lacre/core/codec");
  const bundle = read(need(given, "--bundle"));
  const keyFile = given.values.get("--key");
  const rootFile = given.values.get("--trusted-root");
  if (rootFile === undefined) throw new Exit(3, "no trusted root: give --trusted-root (this client fetches nothing to verify)");
  const trustedRoot = decodeTrustedRoot(read(rootFile));
  const policy =
    keyFile !== undefined ? {} : {
      identities: [{ identity: { exact: need(given, "--certificate-identity") }, issuer: { exact: need(given, "--certificate-oidc-issuer") } }],
    };
  const key = keyFile === undefined ? undefined : importPublicKey(parsePem(text(read(keyFile)), "PUBLIC KEY"));
  const digest = /^sha256:([0-9a-f]{64})$/.exec(given.input)?.[1];
  const artifact =
    digest !== undefined && !existsSync(given.input) ? { digests: new Map([["sha256" as const, fromHex(digest)]]) } : { digests: new Map(), message: read(given.input) };
  const verdict = createVerifier({ trustedRoot }).verify({ bundle, artifact, policy, nowMs: Date.now(), ...(key === undefined ? {} : { key }) });
  if (verdict.outcome === "verified") return "verified";
  const check = decidingCheck(verdict);
  throw new Exit(1, `refused: ${check?.id}: ${check?.code}: ${check?.message}${check?.found === undefined ? "" : ` (found ${check.found})`}`);
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  if (command !== "sign-bundle" && command !== "verify-bundle") throw new Exit(2, "usage: client sign-bundle|verify-bundle …");
  const given = parseArguments(rest);
  if (command === "verify-bundle") process.stdout.write(`${await verifyBundle(given)}\n`);
  else throw new Exit(2, "sign-bundle is not here yet");
}

try {
  await main();
} catch (error) {
  if (error instanceof Exit) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.status;
  } else if (error instanceof LacreError) {
    process.stderr.write(`refused: ${error.code}: ${error.message}\n`);
    process.exitCode = 1;
  } else throw error;
}
