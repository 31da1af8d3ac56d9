// SPDX-License-Identifier: Apache-2.0
/**
 * The signing that `sign`, `sign-blob` and `attest-blob` share: which services, whose key, whether to ask, and where the
 * bundle goes.
 *
 * A ledger on another machine is taken for public: what is logged there stays for ever, with the identity in it, so a
 * person is asked, and a script needs `--yes`, as with cosign. An installation on this machine is the user's own, and
 * nothing is asked.
 */
import { parsePem } from "@lacre/core/codec";
import { createAuthorityClient, createClockClient, createLedgerClient, createLedgerV1Client } from "@lacre/core/client";
import {
  certifiedCredential,
  createCredentialSource,
  createSealer,
  type Credential,
  keyCredential,
  readToken,
  requestCredential,
  type Sealed,
  type Sealer,
  type Signer,
} from "@lacre/core/sign";
import { type Certificate, decodeCertificate } from "@lacre/core/x509";
import type { Algorithm } from "@lacre/core/crypto";
import { algorithmByFlag, algorithmForNewKey } from "./algorithms.ts";
import { LacreError } from "@lacre/core/errors";
import type { Context } from "./context.ts";
import { CliError } from "./errors.ts";
import { IDENTITY_FLAGS, obtainToken } from "./identity.ts";
import { openSigner } from "./keys.ts";
import { isLoopbackHost } from "./loopback.ts";
import { plain } from "./terminal.ts";
import { findServices, SERVICE_FLAGS, type Services } from "./services.ts";
import { findOwnRoot, readNamed } from "./trust.ts";
import { type FlagTable, type FlagValues, text, toggle } from "./verb.ts";

/** Flags of every verb that signs. */
export const SEALING_FLAGS = {
  ...IDENTITY_FLAGS,
  key: text("Sign with this key instead of an identity: file, env://, k8s://, hashivault://, awskms://, pkcs11:", {
    placeholder: "uri",
  }),
  ...SERVICE_FLAGS,
  issueCertificate: toggle("With --key: also ask the authority for a certificate for it, under your identity"),
  certificate: text("With --key: a certificate of that key to put into the seal", { placeholder: "file" }),
  certificateChain: text("Its authorities (not needed: verifiers trust their own)", { placeholder: "file", hidden: true }),
  insecureSkipVerify: toggle("Do not ask for the certificate's promise of publication", { hidden: true }),
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

/**
 * Prepares to sign. Asks where needed; asks nobody twice. `ledgerVersions`: interfaces of ledgers that will do, for formats
 * that have room for the promise of version 1 alone.
 */
export async function openWorkshop(
  context: Context,
  flags: SealingFlags,
  { ledgerVersions }: { readonly ledgerVersions?: readonly number[] } = {},
): Promise<Workshop> {
  if (flags.offline === true) throw new CliError("OFFLINE", "signing needs its services");
  const isLogged = flags.tlogUpload !== false;
  const algorithm = flags.signingAlgorithm === undefined ? undefined : algorithmByFlag(flags.signingAlgorithm);
  const key = flags.key === undefined ? undefined : await openSigner(context, flags.key, { algorithm });
  // A fresh key is for new signatures only: the registry's rows for verifying are refused.
  const fresh = key === undefined ? algorithmForNewKey(flags.signingAlgorithm) : undefined;
  if (flags.insecureSkipVerify === true)
    context.terminal.warn("--insecure-skip-verify: nobody has promised to publish the certificate");
  const isCertified = key === undefined || flags.issueCertificate === true;
  checkOwnCertificate(flags, isCertified);
  const isBare = !isCertified && !isLogged && namesNoService(flags);
  const services = isBare ? undefined : await findServices(context, flags, { isCertified, isLogged, ledgerVersions });
  const root = isBare ? undefined : await findOwnRoot(context, flags);
  checkLoggable(key?.algorithm ?? fresh!, services?.ledgers ?? []);
  await agree(context, flags, services?.ledgers ?? []);
  const common = { fetch: context.fetch };
  const certificate = flags.certificate === undefined ? undefined : await readOwnCertificate(context, flags.certificate);
  const credential = isCertified
    ? await openIdentity(context, flags, services!, root?.value, key ?? fresh!)
    : (
        (own: Credential) => async () =>
          own
      )(certificate === undefined ? keyCredential(key) : certifiedCredential(key, certificate));
  const isChecked = root !== undefined && certificate === undefined;
  const sealer = createSealer({
    credential,
    clocks: (services?.clocks ?? []).map((url) => createClockClient({ url, fetch: services!.clockFetch })),
    ledgers: (services?.ledgers ?? []).map(({ url, majorApiVersion }) =>
      (majorApiVersion === 1 ? createLedgerV1Client : createLedgerClient)({ url, ...common }),
    ),
    // A certificate of one's own may lead to an authority that this root has never heard of.
    trustedRoot: isChecked ? root.value : undefined,
    ignoreSct: flags.insecureSkipVerify,
    now: context.now,
  });
  const isOwn = services?.isLocal === true;
  return {
    sealer: {
      sealArtifact: (chunks) => sealer.sealArtifact(chunks).catch((error: unknown) => explain(error, isOwn)),
      sealEnvelope: (payload, type) => sealer.sealEnvelope(payload, type).catch((error: unknown) => explain(error, isOwn)),
    },
    isChecked,
  };
}

/** Services of an installation on this machine that refuse connections have not been started. */
function explain(error: unknown, isOwn: boolean): never {
  if (isOwn && error instanceof LacreError && error.code === "SERVICE_UNREACHABLE" && error.message.includes("ECONNREFUSED")) {
    throw new CliError("NOT_RUNNING", `${error.message}; is the installation running?`, { cause: error });
  }
  throw error;
}

/** Before anything is asked for: a certificate would be published, and the signature could not be. */
function checkLoggable({ prehashed, keyDetails }: Algorithm, ledgers: Services["ledgers"]): void {
  if (prehashed || ledgers.length === 0) return;
  throw new CliError(
    "USAGE",
    `signatures of ${keyDetails} cannot be logged: they sign the message, and a ledger sees digests alone`,
    {
      hint: "--tlog-upload=false signs without a ledger; ECDSA and RSA keys can be logged.",
    },
  );
}

/** Whether nothing was said of services: then a bare key needs none. */
function namesNoService(flags: SealingFlags): boolean {
  return (
    [flags.signingConfig, flags.fulcioUrl, flags.rekorUrl, flags.timestampServerUrl].every((one) => one === undefined) &&
    flags.useSigningConfig !== true
  );
}

function checkOwnCertificate(flags: SealingFlags, isCertified: boolean): void {
  if (flags.certificateChain !== undefined && flags.certificate === undefined)
    throw new CliError("USAGE", "--certificate-chain goes with --certificate, and that is not given");
  if (flags.certificate !== undefined && isCertified)
    throw new CliError("USAGE", "--certificate is of a key of your own: it goes with --key, and without --issue-certificate");
}

async function readOwnCertificate(context: Context, path: string): Promise<Certificate> {
  const bytes = await readNamed(context, path);
  const text = Buffer.from(bytes).toString("latin1");
  return decodeCertificate(text.includes("-----BEGIN") ? parsePem(text, "CERTIFICATE") : bytes);
}

async function openIdentity(
  context: Context,
  flags: SealingFlags,
  { authority, issuers }: Services,
  trustedRoot: Parameters<typeof requestCredential>[0]["trustedRoot"],
  certified: Signer | Algorithm,
): Promise<() => Promise<Credential>> {
  const token = await obtainToken(context, flags, issuers, flags.offline === true);
  const facts = readToken(token, context.now());
  context.terminal.say(`Signing as ${plain(facts.email ?? facts.subject)}, vouched for by ${plain(facts.issuer)}`);
  // Named, or findServices has refused.
  const client = createAuthorityClient({ url: authority!, fetch: context.fetch });
  return createCredentialSource(
    () =>
      requestCredential({
        authority: client,
        token,
        now: context.now,
        trustedRoot,
        ...("sign" in certified ? { signer: certified } : { algorithm: certified }),
        ignoreSct: flags.insecureSkipVerify,
      }),
    context.now,
  );
}

async function agree(context: Context, flags: SealingFlags, ledgers: Services["ledgers"]): Promise<void> {
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
