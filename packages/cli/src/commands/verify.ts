// SPDX-License-Identifier: Apache-2.0
import { existsSync, statSync } from "node:fs";
import { parseArtifact } from "../artifact.ts";
import { checkAll } from "../checking.ts";
import { CliError } from "../errors.ts";
import { HANDED_FLAGS, IMAGE_FLAGS, readAnnotations } from "../images/flags.ts";
import { CHECKING_FLAGS, openPolicy } from "../policy.ts";
import { refuse, refusedFlags, REFUSED_CHECKING } from "../refusals.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { pairSigners } from "../signers.ts";
import { choice, defineVerb, list, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Verify artifacts and say who sealed them, when, and where it is logged",
  details: `  lacre verify ./FILE --bundle FILE.sigstore.json \\
    --certificate-identity you@example.com --certificate-oidc-issuer https://issuer.example
  lacre verify ./release --certificate-identity … --certificate-oidc-issuer …
  lacre verify sha256:DIGEST --bundle FILE.sigstore.json --key public.pem
  lacre verify registry.example/app:v1 --key cosign.pub | jq '.[0].critical.image'
  lacre verify oci-layout:DIR --key cosign.pub
  lacre verify ./FILE --policy-file policy.yaml

Exit status: 0 verified, 1 refused, 2 usage, 3 could not look; for images also 10 no signature, 11 no such image, 12 no
signature that fits, 13 no certificate.`,
  isCosign: true,
  flags: {
    ...CHECKING_FLAGS,
    certificateIdentity: list("Who may have signed: a whole email address or URI; repeated: any of them", {
      placeholder: "identity",
    }),
    certificateOidcIssuer: list("The issuer that vouched for the identity: one for all, or one for each, in order", {
      placeholder: "url",
    }),
    ...refusedFlags(REFUSED_CHECKING),
    ...IMAGE_FLAGS,
    ...HANDED_FLAGS,
    bundle: list("The seal; default ARTIFACT.sigstore.json; with --policy-file repeated: all of them", { placeholder: "file" }),
    policyFile: text("Judge by this policy instead of flags: who may sign, which statements there have to be", {
      placeholder: "file",
    }),
    artifactName: text("With --policy-file: what the policy calls the artifact; pkg:… is a package", { placeholder: "name" }),
    acceptWarned: toggle("With --policy-file: end with status 0 where only rules in mode warn are broken"),
    type: text("The predicate type that the statement must have", { placeholder: "type" }),
    output: choice(["text", "json", "verdict"], "How to report; for images json is cosign's claims, verdict our whole record", {
      alias: "o",
    }),
    ...GLOBAL_FLAGS,
  },
  operands: {
    name: "ARTIFACT",
    brief:
      "./FILE, ./FOLDER (every file in it), file:FILE, sha256:DIGEST, - for standard input; an image: registry/name:tag, oci-layout:DIR, docker-archive:FILE",
  },
  async run(given, flags, operands) {
    const context = applyGlobals(given, flags);
    if (flags.policyFile !== undefined)
      return (await import("../gating.ts")).verifyByPolicy(context, flags.policyFile, flags, operands);
    for (const name of ["artifactName", "acceptWarned"] as const)
      if (flags[name] !== undefined)
        throw new CliError(
          "USAGE",
          `--${name === "artifactName" ? "artifact-name" : "accept-warned"} says nothing without --policy-file`,
        );
    const [bundle, ...more] = flags.bundle ?? [];
    if (more.length > 0) throw new CliError("USAGE", "several --bundle count only with --policy-file");
    refuse(REFUSED_CHECKING, flags);
    // An empty list is a flag that was not given.
    const several = pairSigners(flags.certificateIdentity ?? [], flags.certificateOidcIssuer ?? []);
    const { policy, key } = await openPolicy(context, { ...flags, ...several[0]! }, flags.type, several);
    const artifacts = operands.map((name) =>
      flags.localImage === true
        ? ({ kind: "image", name, reference: name } as const)
        : parseArtifact(name, { cwd: context.cwd, hasBundle: bundle !== undefined }),
    );
    const images = artifacts.flatMap((artifact) => (artifact.kind === "image" ? [artifact.reference] : []));
    if (images.length > 0) {
      if (images.length < artifacts.length) throw new CliError("USAGE", "files and images are verified apart");
      // Loaded on use: files need nothing of it.
      const { checkImages } = await import("../images/verification.ts");
      return checkImages(context, images, {
        kind: flags.type === undefined ? "signature" : "attestation",
        policy,
        key,
        annotations: readAnnotations(flags.annotations),
        output: flags.output ?? "json",
        bundlePath: bundle,
        flags,
      });
    }
    const common = {
      policy,
      key,
      trust: flags,
      asJson: flags.output === "json" || flags.output === "verdict",
      stream: "stdout" as const,
    };
    if (bundle !== undefined) return checkAll(context, { ...common, artifacts, bundlePath: bundle });
    const files = artifacts.flatMap((artifact) => (artifact.kind === "file" ? [artifact] : []));
    const other = artifacts.find(({ kind }) => kind !== "file");
    if (other !== undefined) throw new CliError("SEAL_MISSING", `there is no seal for ${other.name}`);
    const [first, ...rest] = files;
    if (first !== undefined && rest.length === 0 && statSync(first.path, { throwIfNoEntry: false })?.isDirectory() !== true) {
      const bundlePath = `${first.path}.sigstore.json`;
      if (!existsSync(bundlePath))
        throw new CliError("SEAL_MISSING", `there is no seal for ${first.name}: looked for ${first.name}.sigstore.json`);
      return checkAll(context, { ...common, artifacts, bundlePath });
    }
    // Loaded on use: one file needs nothing of it.
    const { checkBatch } = await import("../batch.ts");
    return checkBatch(context, { ...common, artifacts: files });
  },
});
