// SPDX-License-Identifier: Apache-2.0
/**
 * The signing that `sign`, `sign-blob` and `attest-blob` share: which services, whose key, whether to ask, and where the
 * bundle goes.
 *
 * A ledger on another machine is taken for public: what is logged there stays for ever, with the identity in it, so a
 * person is asked, and a script needs `--yes`, as with cosign. An installation on this machine is the user's own, and
 * nothing is asked.
 */
import { formatPem } from "@lacre/core/codec";
import { toBase64 } from "@lacre/core/bytes";
import { createAuthorityClient, createClockClient, createLedgerClient, createLedgerV1Client } from "@lacre/core/client";
import {
  createCredentialSource,
  createSealer,
  type Credential,
  keyCredential,
  readToken,
  requestCredential,
  type Sealed,
  type Sealer,
} from "@lacre/core/sign";
import { selectServices, type Service, type SigningConfig } from "@lacre/core/trust";
import { algorithmByFlag } from "./algorithms.ts";
import { LacreError } from "@lacre/core/errors";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { IDENTITY_FLAGS, obtainToken } from "./identity.ts";
import { openSigner } from "./keys.ts";
import { isLoopbackHost } from "./loopback.ts";
import { plain } from "./terminal.ts";
import { findOwnRoot, findSigningConfig } from "./trust.ts";
import { type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

/** Flags of every verb that signs. */
export const SEALING_FLAGS = {
  ...IDENTITY_FLAGS,
  key: text("Sign with this private key instead of an identity: PEM file or env://NAME", { placeholder: "file" }),
  signingConfig: text("Which services to sign with", { placeholder: "file" }),
  trustedRoot: text("Check the finished seal against this trusted root", { placeholder: "file" }),
  dir: text("Data directory of the installation to sign with", { placeholder: "dir" }),
  yes: toggle("Do not ask before publishing to a ledger on another machine", { alias: "y" }),
  tlogUpload: toggle("Log the signature (default true)", { hidden: true }),
  signingAlgorithm: text("Algorithm of the signature", { placeholder: "name" }),
  offline: toggle("Open no connection", { hidden: true }),
} as const satisfies FlagTable;

export type SealingFlags = FlagValues<typeof SEALING_FLAGS>;

/** A sealer and what it was made of. */
export interface Workshop {
  readonly sealer: Sealer;
  /** Whether seals are checked against a trusted root before they are returned. */
  readonly isChecked: boolean;
}

/** Prepares to sign. Asks where needed; asks nobody twice. */
export async function openWorkshop(context: Context, flags: SealingFlags): Promise<Workshop> {
  if (flags.offline === true) throw new CliError("OFFLINE", "signing needs its services");
  const isLogged = flags.tlogUpload !== false;
  const algorithm = flags.signingAlgorithm === undefined ? undefined : algorithmByFlag(flags.signingAlgorithm);
  const key = flags.key === undefined ? undefined : await openSigner(context, flags.key, algorithm);
  if (key === undefined && algorithm !== undefined && algorithm.keyDetails !== "PKIX_ECDSA_P256_SHA_256") {
    throw new CliError(
      "UNSUPPORTED_FLAG",
      `certificates are asked for with ecdsa-sha2-256-nistp256, not ${flags.signingAlgorithm}`,
    );
  }
  const isBare = key !== undefined && !isLogged && flags.signingConfig === undefined;
  const chosen = isBare ? undefined : await findSigningConfig(context, flags);
  const config = chosen?.value;
  const root = isBare ? undefined : await findOwnRoot(context, flags);
  const services = config === undefined ? { ledgers: [], clocks: [] } : selectAll(config, context.now(), isLogged);
  await agree(context, flags, services.ledgers);
  const common = { fetch: context.fetch };
  const credential =
    key === undefined
      ? await openIdentity(context, flags, config!, root?.value)
      : (
          (own: Credential) => async () =>
            own
        )(keyCredential(key));
  const sealer = createSealer({
    credential,
    clocks: services.clocks.map(({ url }) => createClockClient({ url, ...common })),
    ledgers: services.ledgers.map(({ url, majorApiVersion }) =>
      (majorApiVersion === 1 ? createLedgerV1Client : createLedgerClient)({ url, ...common }),
    ),
    trustedRoot: root?.value,
    now: context.now,
  });
  const isOwn = chosen?.isLocal === true;
  return {
    sealer: {
      sealArtifact: (chunks) => sealer.sealArtifact(chunks).catch((error: unknown) => explain(error, isOwn)),
      sealEnvelope: (payload, type) => sealer.sealEnvelope(payload, type).catch((error: unknown) => explain(error, isOwn)),
    },
    isChecked: root !== undefined,
  };
}

/** Services of an installation on this machine that refuse connections have not been started. */
function explain(error: unknown, isOwn: boolean): never {
  if (isOwn && error instanceof LacreError && error.code === "SERVICE_UNREACHABLE" && error.message.includes("ECONNREFUSED")) {
    throw new CliError("NOT_RUNNING", `${error.message}; is the installation running?`, { cause: error });
  }
  throw error;
}

async function openIdentity(
  context: Context,
  flags: SealingFlags,
  config: SigningConfig,
  trustedRoot: Parameters<typeof requestCredential>[0]["trustedRoot"],
): Promise<() => Promise<Credential>> {
  const nowMs = context.now();
  const [authority] =
    config.caUrls.length === 0 ? [] : selectServices(config.caUrls, { selector: "ANY" }, { supported: [1], nowMs });
  if (authority === undefined)
    throw new CliError("SERVICES_MISSING", "the signing config names no certificate authority that can be used");
  const issuers =
    config.oidcUrls.length === 0
      ? []
      : selectServices(config.oidcUrls, { selector: "ANY" }, { supported: [1], nowMs }).map(({ url }) => url);
  const token = await obtainToken(context, flags, issuers, flags.offline === true);
  const facts = readToken(token, context.now());
  context.terminal.say(`Signing as ${plain(facts.email ?? facts.subject)}, vouched for by ${plain(facts.issuer)}`);
  const client = createAuthorityClient({ url: authority.url, fetch: context.fetch });
  return createCredentialSource(
    () => requestCredential({ authority: client, token, now: context.now, trustedRoot }),
    context.now,
  );
}

function selectAll(
  config: SigningConfig,
  nowMs: number,
  isLogged: boolean,
): { readonly ledgers: readonly Service[]; readonly clocks: readonly Service[] } {
  let ledgers: readonly Service[] = [];
  if (isLogged) {
    ledgers = select(config.rekorTlogUrls, config.rekorTlogConfig, [1, 2], nowMs);
    if (ledgers.length === 0) {
      throw new CliError("SERVICES_MISSING", "the signing config names no ledger that can be used", {
        hint: "Use a signing config with a ledger of majorApiVersion 1 or 2, or --tlog-upload=false to do without.",
      });
    }
  }
  return { ledgers, clocks: select(config.tsaUrls, config.tsaConfig, [1], nowMs) };
}

function select(
  services: readonly Service[],
  rule: SigningConfig["tsaConfig"],
  supported: readonly number[],
  nowMs: number,
): readonly Service[] {
  return services.length === 0 ? [] : selectServices(services, rule, { supported: [...supported], nowMs });
}

async function agree(context: Context, flags: SealingFlags, ledgers: readonly Service[]): Promise<void> {
  const hosts = ledgers.map(({ url }) => new URL(url).hostname).filter((host) => !isLoopbackHost(host));
  if (hosts.length === 0 || flags.yes === true) return;
  const where = plain(hosts.join(", "));
  const question = `This records your signature, and the identity in it, at ${where} for everyone to read, and for ever. Go on?`;
  if (await context.terminal.confirm(question)) return;
  throw new CliError(
    "CONFIRMATION_MISSING",
    context.terminal.isInteractive ? "not agreed; nothing was signed" : `signing publishes to ${where}, and nobody can be asked`,
  );
}

/** What a signing verb says of a finished seal, for programs. */
export function describeSealed(name: string, bundlePath: string | undefined, sealed: Sealed): object {
  const { identity, bundle, digest } = sealed;
  return {
    artifact: name,
    digest: `${digest.algorithm}:${Buffer.from(digest.value).toString("hex")}`,
    ...(bundlePath === undefined ? {} : { bundle: bundlePath }),
    ...(identity === undefined ? {} : { identity: identity.san.value, issuer: identity.issuer }),
    logEntries: bundle.logEntries.map((entry) => ({
      logId: Buffer.from(entry.logId).toString("hex"),
      logIndex: entry.logIndex.toString(),
    })),
    verified: sealed.verdict?.outcome === "verified",
  };
}

/** … and for people. */
export function saySealed(context: Context, name: string, bundlePath: string | undefined, sealed: Sealed): void {
  const logged = sealed.bundle.logEntries.map(({ logIndex }) => `entry ${logIndex}`).join(", ");
  const where = logged === "" ? "not logged" : `logged as ${logged}`;
  context.terminal.say(`Sealed ${plain(name)}: ${where}${bundlePath === undefined ? "" : `, bundle in ${plain(bundlePath)}`}`);
}

/** The signature and certificate as detached text, for cosign's old flags. */
export function detach(
  sealed: Sealed,
  isBase64: boolean,
): { readonly signature: string | Uint8Array; readonly certificate: string | undefined } {
  const { signature } = sealed.bundle.content;
  const key = sealed.bundle.key;
  const pem = key.kind === "certificate" ? formatPem("CERTIFICATE", key.chain[0]!) : undefined;
  return {
    signature: isBase64 ? toBase64(signature) : signature,
    certificate: pem === undefined ? undefined : isBase64 ? toBase64(Buffer.from(pem)) : pem,
  };
}
