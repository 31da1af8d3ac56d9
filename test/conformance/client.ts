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
 * Trusted root and signing config that are not given are those of the installation in LACRE_DIR, if that is set; nothing
 * is fetched to verify. Exit status: 0 done or verified, 1 refused, 2 usage, 3 could not look (a file or a service). One
 * line on stdout or stderr says what came of it.
 */
import { createReadStream, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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

const VALUES = new Set([
  "--bundle",
  "--certificate-identity",
  "--certificate-oidc-issuer",
  "--key",
  "--trusted-root",
  "--identity-token",
  "--signing-config",
]);
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
    const [name, inline] =
      argument.startsWith("--") && argument.includes("=")
        ? [argument.slice(0, argument.indexOf("=")), argument.slice(argument.indexOf("=") + 1)]
        : [argument, undefined];
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

/** The file of an option, or the installation's. */
function findDocument({ values }: Arguments, option: string, name: string): string {
  const file = values.get(option);
  if (file !== undefined) return file;
  const directory = process.env["LACRE_DIR"];
  if (directory === undefined || directory === "") throw new Exit(3, `${option} is missing, and LACRE_DIR names no installation`);
  return join(directory, "trust", name);
}

async function signBundle(given: Arguments): Promise<string> {
  const { createAuthorityClient, createClockClient, createLedgerClient, createLedgerV1Client } =
    await import("@lacre/core/client");
  const { createCredentialSource, createSealer, requestCredential } = await import("@lacre/core/sign");
  const { decodeSigningConfig, decodeTrustedRoot, selectServices } = await import("@lacre/core/trust");
  const { IN_TOTO } = await import("@lacre/core/verify");
  const output = need(given, "--bundle");
  const token = need(given, "--identity-token");
  const config = decodeSigningConfig(read(findDocument(given, "--signing-config", "signing_config.v0.2.json")));
  const trustedRoot = decodeTrustedRoot(read(findDocument(given, "--trusted-root", "trusted_root.json")));
  const nowMs = Date.now();
  const [authority] = selectServices(config.caUrls, { selector: "ANY" }, { supported: [1], nowMs });
  const ledgers = selectServices(config.rekorTlogUrls, config.rekorTlogConfig, { supported: [1, 2], nowMs });
  if (authority === undefined || ledgers.length === 0)
    throw new Exit(3, "the signing config names no certificate authority or no ledger in use");
  const clocks = config.tsaUrls.length === 0 ? [] : selectServices(config.tsaUrls, config.tsaConfig, { supported: [1], nowMs });
  const client = createAuthorityClient({ url: authority.url, fetch });
  const sealer = createSealer({
    credential: createCredentialSource(
      () => requestCredential({ authority: client, token, now: Date.now, trustedRoot }),
      Date.now,
    ),
    clocks: clocks.map(({ url }) => createClockClient({ url, fetch })),
    ledgers: ledgers.map(({ url, majorApiVersion }) =>
      (majorApiVersion === 1 ? createLedgerV1Client : createLedgerClient)({ url, fetch }),
    ),
    trustedRoot,
    now: Date.now,
  });
  if (!existsSync(given.input)) throw new Exit(3, `cannot read ${given.input}`);
  const sealed = given.switches.has("--in-toto")
    ? await sealer.sealEnvelope(read(given.input), IN_TOTO)
    : await sealer.sealArtifact(createReadStream(given.input, { highWaterMark: 1 << 20 }) as AsyncIterable<Uint8Array>);
  writeFileSync(output, sealed.json);
  return `signed: ${output}`;
}

async function verifyBundle(given: Arguments): Promise<string> {
  const { createVerifier, decidingCheck } = await import("@lacre/core/verify");
  const { decodeTrustedRoot } = await import("@lacre/core/trust");
  const { importPublicKey } = await import("@lacre/core/crypto");
  const { parsePem } = await import("@lacre/core/codec");
  const bundle = read(need(given, "--bundle"));
  const keyFile = given.values.get("--key");
  const trustedRoot = decodeTrustedRoot(read(findDocument(given, "--trusted-root", "trusted_root.json")));
  const policy =
    keyFile !== undefined
      ? {}
      : {
          identities: [
            {
              identity: { exact: need(given, "--certificate-identity") },
              issuer: { exact: need(given, "--certificate-oidc-issuer") },
            },
          ],
        };
  const key = keyFile === undefined ? undefined : importPublicKey(parsePem(text(read(keyFile)), "PUBLIC KEY"));
  const digest = /^sha256:([0-9a-f]{64})$/.exec(given.input)?.[1];
  const artifact =
    digest !== undefined && !existsSync(given.input)
      ? { digests: new Map([["sha256" as const, fromHex(digest)]]) }
      : { digests: new Map(), message: read(given.input) };
  const verdict = createVerifier({ trustedRoot }).verify({
    bundle,
    artifact,
    policy,
    nowMs: Date.now(),
    ...(key === undefined ? {} : { key }),
  });
  if (verdict.outcome === "verified") return "verified";
  const check = decidingCheck(verdict);
  throw new Exit(
    1,
    `refused: ${check?.id}: ${check?.code}: ${check?.message}${check?.found === undefined ? "" : ` (found ${check.found})`}`,
  );
}

async function main(): Promise<void> {
  const [command, ...rest] = process.argv.slice(2);
  if (command !== "sign-bundle" && command !== "verify-bundle") throw new Exit(2, "usage: client sign-bundle|verify-bundle …");
  const given = parseArguments(rest);
  process.stdout.write(`${await (command === "verify-bundle" ? verifyBundle(given) : signBundle(given))}\n`);
}

try {
  await main();
} catch (error) {
  if (error instanceof Exit) {
    process.stderr.write(`${error.message}\n`);
    process.exitCode = error.status;
  } else if (error instanceof LacreError) {
    process.stderr.write(
      `refused: ${error.code}: ${error.message}${error.found === undefined ? "" : ` (found ${error.found})`}\n`,
    );
    process.exitCode = error.code === "SERVICE_UNREACHABLE" ? 3 : 1;
  } else throw error;
}
