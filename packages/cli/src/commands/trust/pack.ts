// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { encodeTrustedRoot } from "@lacre/core/trust";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { writeWhole } from "../../home.ts";
import { describeRevocation, describeRevokedKey, encodePack, PACK_TYPE } from "../../pack.ts";
import { refuse, refusedFlags, REFUSED_SIGNING } from "../../refusals.ts";
import { openWorkshop, saySealed, SEALING_FLAGS } from "../../sealing.ts";
import { findTrustedRoot } from "../../trust.ts";
import { defineVerb, list, text, type Verb } from "../../verb.ts";

const DAY_MS = 86_400_000;

function readLife(given: string): number {
  const match = /^(\d{1,5})d$/.exec(given);
  if (match === null || Number(match[1]) === 0)
    throw new CliError("USAGE", `--expires is a number of days like 90d, not ${JSON.stringify(given.slice(0, 40))}`);
  return Number(match[1]) * DAY_MS;
}

export const verb: Verb = defineVerb({
  brief: "Pack a trusted root with its expiry and revocations into one sealed file",
  details: `For sites without a network: the trusted root that applies here, until when it may be used, and what is not trusted any more.

  lacre trust pack --out trust.pack --expires 90d --key site.key --tlog-upload=false
  lacre verify ./FILE --trust-pack trust.pack --trust-pack-key site.pub \\
    --certificate-identity WHO --certificate-oidc-issuer URL --offline`,
  isCosign: true,
  flags: {
    ...SEALING_FLAGS,
    ...refusedFlags(REFUSED_SIGNING),
    out: text("Where the pack goes", { placeholder: "file" }),
    name: text("What the pack calls itself (default: the root's source)", { placeholder: "name" }),
    expires: text("How long it may be used, in days (default 90d)", { placeholder: "days" }),
    revokeCertificate: list("A certificate that is not trusted: serial number, hexadecimal", { placeholder: "serial" }),
    revokeIdentity: list("A signer who is not trusted: IDENTITY, or IDENTITY,issuer=URL", { placeholder: "identity" }),
    revokeKey: list("A key that is not trusted: its file", { placeholder: "file" }),
    revokeEntry: list("A log entry that is not trusted: LOGID:INDEX", { placeholder: "entry" }),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    refuse(REFUSED_SIGNING, flags);
    if (flags.out === undefined) throw new CliError("USAGE", "--out is missing: where shall the pack go?");
    const { value, source } = await findTrustedRoot(context, flags);
    const issuedMs = Math.floor(context.now() / 1000) * 1000;
    const revokedKeys = [];
    for (const reference of flags.revokeKey ?? []) revokedKeys.push(await describeRevokedKey(context, reference));
    const payload = encodePack({
      name: flags.name ?? source.source,
      issuedMs,
      expiresMs: issuedMs + readLife(flags.expires ?? "90d"),
      trustedRoot: encodeTrustedRoot(value),
      revocations: {
        certificates: (flags.revokeCertificate ?? []).map((one) => describeRevocation("certificate", one)),
        identities: (flags.revokeIdentity ?? []).map((one) => describeRevocation("identity", one)),
        keys: revokedKeys,
        entries: (flags.revokeEntry ?? []).map((one) => describeRevocation("entry", one)),
      },
    });
    const { sealer } = await openWorkshop(context, flags);
    const sealed = await sealer.sealEnvelope(payload, PACK_TYPE);
    await writeWhole(resolve(context.cwd, flags.out), `${sealed.json}\n`, 0o644);
    saySealed(context, "the trust pack", flags.out, sealed);
  },
});
