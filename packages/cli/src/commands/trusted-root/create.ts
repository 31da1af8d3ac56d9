// SPDX-License-Identifier: Apache-2.0
import { X509Certificate } from "node:crypto";
import { resolve } from "node:path";
import { parsePem } from "@lacre/core/codec";
import { type CertificateAuthority, decodeTrustedRoot, encodeTrustedRoot, type TransparencyLog } from "@lacre/core/trust";
import { utf8 } from "@lacre/core/bytes";
import type { Certificate } from "@lacre/core/x509";
import { authorityOf, logOf, readCertificates } from "../../assembled.ts";
import type { Context } from "../../context.ts";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { writeWhole } from "../../home.ts";
import { parseSpec, readSpecWindow, type SpecShape } from "../../specs.ts";
import { findTrustedRoot, readNamed } from "../../trust.ts";
import { defineVerb, list, text, toggle, type Verb } from "../../verb.ts";

const AUTHORITY: SpecShape = { required: ["url", "certificate-chain"], optional: ["start-time", "end-time"] };
const LOG: SpecShape = { required: ["url", "public-key", "start-time"], optional: ["end-time", "origin"] };

/** Without a start-time: from when its first certificate is valid, as cosign has it. */
async function readAuthority(context: Context, flag: string, spec: string): Promise<CertificateAuthority> {
  const facts = parseSpec(flag, spec, AUTHORITY);
  const chain = await readCertificates(context, facts["certificate-chain"]!);
  if (flag === "tsa" && chain[0]!.isCa)
    throw new CliError(
      "USAGE",
      "--tsa: the chain begins with an authority, and has to begin with the certificate that signs timestamps",
    );
  const window = readSpecWindow(flag, facts, chain[0]!.notBeforeMs);
  return { ...authorityOf(chain, { uri: facts["url"]!, ...window }), subject: subjectOf(chain.at(-1)!) };
}

/** For people: nothing is decided by it. */
function subjectOf({ der }: Certificate): CertificateAuthority["subject"] {
  const lines = new X509Certificate(der).subject?.split("\n") ?? [];
  const read = (label: string): string => lines.find((line) => line.startsWith(`${label}=`))?.slice(label.length + 1) ?? "";
  return { organization: read("O"), commonName: read("CN") };
}

async function readLog(context: Context, flag: string, spec: string): Promise<TransparencyLog> {
  const facts = parseSpec(flag, spec, LOG);
  const bytes = await readNamed(context, facts["public-key"]!);
  const words = Buffer.from(bytes).toString("latin1");
  const url = facts["url"]!;
  const origin = facts["origin"];
  if (origin !== undefined && ![new URL(url).hostname, new URL(url).host].includes(origin)) {
    throw new CliError("UNSUPPORTED_FLAG", `--${flag}: the origin ${origin} is not the host of ${url}`, {
      hint: "Verifiers take a log's name from its address: give url=https://ORIGIN, and leave origin out or alike.",
    });
  }
  const log = logOf(
    words.includes("-----BEGIN") ? parsePem(words, "PUBLIC KEY") : bytes,
    url,
    readSpecWindow(flag, facts),
    origin ?? "",
  );
  return { ...log, name: new URL(url).hostname };
}

export const verb: Verb = defineVerb({
  brief: "Write a trusted root from keys and certificates, with cosign's flags",
  details: `Each service is one flag, which may be repeated: key=value with commas between.

  lacre trusted-root create \\
    --fulcio url=https://ca.example,certificate-chain=ca.pem \\
    --rekor url=https://log.example,public-key=log.pub,start-time=2026-01-01T00:00:00Z \\
    --ctfe url=https://ct.example,public-key=ct.pub,start-time=2026-01-01T00:00:00Z \\
    --tsa url=https://tsa.example/api/v1/timestamp,certificate-chain=tsa.pem \\
    --out trusted_root.json

With --with-default-services, what no flag names comes from the root that would be trusted here.`,
  isCosign: true,
  flags: {
    fulcio: list("A certificate authority: url, certificate-chain; start-time, end-time", { placeholder: "spec" }),
    rekor: list("A log: url, public-key, start-time; end-time, origin", { placeholder: "spec" }),
    ctfe: list("A certificate log: url, public-key, start-time; end-time", { placeholder: "spec" }),
    tsa: list("A timestamp authority: url, certificate-chain; start-time, end-time", { placeholder: "spec" }),
    out: text("Where the root goes (default standard output)", { placeholder: "file" }),
    withDefaultServices: toggle("Begin with the root that would be trusted here"),
    noDefaultFulcio: toggle("… without its certificate authorities"),
    noDefaultRekor: toggle("… without its logs"),
    noDefaultCtfe: toggle("… without its certificate logs"),
    noDefaultTsa: toggle("… without its timestamp authorities"),
    dir: text("Data directory of the installation to begin with", { placeholder: "dir" }),
    trustedRoot: text("The root to begin with", { placeholder: "file" }),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    const base = flags.withDefaultServices === true ? (await findTrustedRoot(context, flags)).value : undefined;
    const pick = async <T>(
      specs: readonly string[] | undefined,
      isLeftOut: boolean | undefined,
      kept: readonly T[] | undefined,
      read: (spec: string) => Promise<T>,
    ): Promise<readonly T[]> => {
      if (specs !== undefined && specs.length > 0) return Promise.all(specs.map(read));
      return isLeftOut === true ? [] : (kept ?? []);
    };
    const text = encodeTrustedRoot({
      tlogs: await pick(flags.rekor, flags.noDefaultRekor, base?.tlogs, (spec) => readLog(context, "rekor", spec)),
      ctlogs: await pick(flags.ctfe, flags.noDefaultCtfe, base?.ctlogs, (spec) => readLog(context, "ctfe", spec)),
      certificateAuthorities: await pick(flags.fulcio, flags.noDefaultFulcio, base?.certificateAuthorities, (spec) =>
        readAuthority(context, "fulcio", spec),
      ),
      timestampAuthorities: await pick(flags.tsa, flags.noDefaultTsa, base?.timestampAuthorities, (spec) =>
        readAuthority(context, "tsa", spec),
      ),
    });
    // What we would not read we do not write.
    decodeTrustedRoot(utf8(text));
    if (flags.out === undefined) context.terminal.deliver(text);
    else await writeWhole(resolve(context.cwd, flags.out), text, 0o644);
  },
});
