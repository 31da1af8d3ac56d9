// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { utf8 } from "@lacre/core/bytes";
import { decodeSigningConfig, encodeSigningConfig, type Selection, type Service } from "@lacre/core/trust";
import { CliError } from "../../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../../globals.ts";
import { writeWhole } from "../../home.ts";
import { parseSpec, readSpecWindow } from "../../specs.ts";
import { plain } from "../../terminal.ts";
import { findSigningConfig } from "../../trust.ts";
import { defineVerb, list, text, toggle, type Verb } from "../../verb.ts";

const SHAPE = { required: ["url", "api-version", "start-time", "operator"], optional: ["end-time"] };

function readService(flag: string, spec: string): Service {
  const facts = parseSpec(flag, spec, SHAPE);
  const version = facts["api-version"]!;
  if (!/^[1-9]\d{0,8}$/.test(version))
    throw new CliError("USAGE", `--${flag}: api-version is no version: ${plain(version).slice(0, 40)}`);
  return { url: facts["url"]!, majorApiVersion: Number(version), operator: facts["operator"]!, ...readSpecWindow(flag, facts) };
}

function readSelection(flag: string, given: string): Selection {
  const match = /^(?:(ANY|ALL)|EXACT:([1-9]\d{0,5}))$/.exec(given);
  if (match === null)
    throw new CliError("USAGE", `--${flag} is ANY, ALL or EXACT:COUNT, not ${JSON.stringify(given.slice(0, 40))}`);
  return match[1] === undefined ? { selector: "EXACT", count: Number(match[2]) } : { selector: match[1] as "ANY" | "ALL" };
}

export const verb: Verb = defineVerb({
  brief: "Write a signing config from addresses, with cosign's flags",
  details: `Each service is one flag, which may be repeated: key=value with commas between.

  lacre signing-config create \\
    --fulcio url=https://ca.example,api-version=1,start-time=2026-01-01T00:00:00Z,operator=example \\
    --rekor url=https://log.example,api-version=2,start-time=2026-01-01T00:00:00Z,operator=example --rekor-config ANY \\
    --out signing_config.json

With --with-default-services, what no flag names comes from the config that would be signed with here.`,
  isCosign: true,
  flags: {
    fulcio: list("A certificate authority: url, api-version, start-time, operator; end-time", { placeholder: "spec" }),
    rekor: list("A ledger: url, api-version, start-time, operator; end-time", { placeholder: "spec" }),
    rekorConfig: text("How many ledgers to use: ANY, ALL, EXACT:COUNT", { placeholder: "rule" }),
    oidcProvider: list("A provider to sign in with: url, api-version, start-time, operator; end-time", { placeholder: "spec" }),
    tsa: list("A timestamp authority: url, api-version, start-time, operator; end-time", { placeholder: "spec" }),
    tsaConfig: text("How many timestamp authorities to use: ANY, ALL, EXACT:COUNT", { placeholder: "rule" }),
    out: text("Where the config goes (default standard output)", { placeholder: "file" }),
    withDefaultServices: toggle("Begin with the config that would be signed with here"),
    withDefaultRekorV2: toggle("… and of its ledgers take those of interface version 2"),
    noDefaultFulcio: toggle("… without its certificate authorities"),
    noDefaultRekor: toggle("… without its ledgers"),
    noDefaultOidc: toggle("… without its providers"),
    noDefaultTsa: toggle("… without its timestamp authorities"),
    baseConfig: text("The config to begin with", { placeholder: "file" }),
    dir: text("Data directory of the installation to begin with", { placeholder: "dir" }),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    const isBased = flags.withDefaultServices === true || flags.withDefaultRekorV2 === true || flags.baseConfig !== undefined;
    const base = isBased ? (await findSigningConfig(context, { ...flags, signingConfig: flags.baseConfig })).value : undefined;
    const pick = (
      flag: string,
      specs: readonly string[] | undefined,
      isLeftOut: boolean | undefined,
      kept: readonly Service[] = [],
    ): readonly Service[] =>
      specs !== undefined && specs.length > 0 ? specs.map((spec) => readService(flag, spec)) : isLeftOut === true ? [] : kept;
    const ofV2 = base?.rekorTlogUrls.filter(({ majorApiVersion }) => majorApiVersion === 2);
    if (flags.withDefaultRekorV2 === true && ofV2?.length === 0)
      throw new CliError("SERVICES_MISSING", "the config to begin with has no ledger of interface version 2", {
        hint: "Name one: --rekor url=…,api-version=2,…",
      });
    const rekorTlogUrls = pick(
      "rekor",
      flags.rekor,
      flags.noDefaultRekor,
      flags.withDefaultRekorV2 === true ? ofV2 : base?.rekorTlogUrls,
    );
    const tsaUrls = pick("tsa", flags.tsa, flags.noDefaultTsa, base?.tsaUrls);
    const select = (flag: string, rule: string | undefined, isNamed: boolean, kept: Selection | undefined): Selection => {
      if (rule !== undefined) return readSelection(flag, rule);
      if (isNamed) throw new CliError("USAGE", `--${flag} is missing: how many of them are to be used?`);
      return kept ?? { selector: "ANY" };
    };
    const document = encodeSigningConfig({
      caUrls: pick("fulcio", flags.fulcio, flags.noDefaultFulcio, base?.caUrls),
      oidcUrls: pick("oidc-provider", flags.oidcProvider, flags.noDefaultOidc, base?.oidcUrls),
      rekorTlogUrls,
      rekorTlogConfig: select("rekor-config", flags.rekorConfig, (flags.rekor?.length ?? 0) > 0, base?.rekorTlogConfig),
      tsaUrls,
      tsaConfig: select("tsa-config", flags.tsaConfig, (flags.tsa?.length ?? 0) > 0, base?.tsaConfig),
    });
    decodeSigningConfig(utf8(document));
    if (flags.out === undefined) context.terminal.deliver(document);
    else await writeWhole(resolve(context.cwd, flags.out), document, 0o644);
  },
});
