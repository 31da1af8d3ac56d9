// SPDX-License-Identifier: Apache-2.0
import { resolve } from "node:path";
import { formatPem } from "@lacre/core/codec";
import { generateKey } from "@lacre/core/crypto";
import { algorithmForNewKey } from "../algorithms.ts";
import { CliError } from "../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { writeWhole } from "../home.ts";
import { claimFile, claimFiles, writePair } from "../keypair.ts";
import { checkKind, generateKeyAt } from "../keys.ts";
import { plain } from "../terminal.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Make a key pair of your own",
  details: `The private key is encrypted with a password: COSIGN_PASSWORD, or asked for. cosign reads the file, except for ML-DSA keys.

  lacre generate-key-pair --output-key-prefix release
  lacre generate-key-pair --signing-algorithm ed25519
  lacre generate-key-pair k8s://NAMESPACE/NAME
  lacre generate-key-pair --kms hashivault://KEY
  lacre generate-key-pair --kms 'pkcs11:token=NAME;object=KEY?module-path=/path/to/module.so'`,
  isCosign: true,
  flags: {
    outputKeyPrefix: text("Name of the files: NAME.key and NAME.pub (default cosign)", { placeholder: "name" }),
    kms: text("Make the key at this place instead of in a file", { placeholder: "uri" }),
    signingAlgorithm: text("What the key is for (default ecdsa-sha2-256-nistp256)", { placeholder: "name" }),
    yes: toggle("Replace files without asking", { alias: "y" }),
    output: choice(["text", "json"], "How to report"),
    ...GLOBAL_FLAGS,
  },
  operands: { name: "PLACE", brief: "k8s://NAMESPACE/NAME: make a secret of the cluster", minimum: 0, maximum: 1 },
  async run(given, flags, [place]) {
    const context = applyGlobals(given, flags);
    const prefix = flags.outputKeyPrefix ?? "cosign";
    const elsewhere = flags.kms ?? place;
    if (flags.kms !== undefined && place !== undefined) throw new CliError("USAGE", "--kms and an operand name two places");
    if (elsewhere === undefined) {
      const algorithm = algorithmForNewKey(flags.signingAlgorithm);
      const files = await claimFiles(context, prefix, flags.yes === true);
      const { pkcs8, publicKey } = generateKey(algorithm.keyType, algorithm.rsaBits || undefined);
      await writePair(context, files, pkcs8, publicKey);
      if (flags.output === "json")
        context.terminal.result(
          JSON.stringify({ algorithm: algorithm.keyDetails, privateKey: files.privatePath, publicKey: files.publicPath }),
        );
      return;
    }
    if (!/^[a-z0-9+.-]+:/i.test(elsewhere))
      throw new CliError("USAGE", `${JSON.stringify(elsewhere.slice(0, 60))} names no place for a key`, {
        hint: "hashivault://KEY, awskms:///alias/NAME, k8s://NAMESPACE/NAME, pkcs11:…; --output-key-prefix names files.",
      });
    checkKind(elsewhere);
    const publicPath = `${prefix}.pub`;
    await claimFile(context, publicPath, flags.yes === true);
    const algorithm = flags.signingAlgorithm === undefined ? undefined : algorithmForNewKey(flags.signingAlgorithm);
    const publicKey = await generateKeyAt(context, elsewhere, algorithm);
    await writeWhole(resolve(context.cwd, publicPath), formatPem("PUBLIC KEY", publicKey.spki), 0o644);
    context.terminal.say(`Key made at ${plain(elsewhere.split("?")[0]!)}`);
    context.terminal.say(`Public key written to ${plain(publicPath)}`);
    if (flags.output === "json") context.terminal.result(JSON.stringify({ key: elsewhere.split("?")[0], publicKey: publicPath }));
  },
});
