// SPDX-License-Identifier: Apache-2.0
import { importPrivateKey } from "@lacre/core/crypto";
import { CliError } from "../errors.ts";
import { applyGlobals, GLOBAL_FLAGS } from "../globals.ts";
import { claimFiles, writePair } from "../keypair.ts";
import { readPkcs8 } from "../keys/pem.ts";
import { readKeyText } from "../keys/texts.ts";
import { choice, defineVerb, text, toggle, type Verb } from "../verb.ts";

export const verb: Verb = defineVerb({
  brief: "Make a key pair from a private key that you have",
  details: `Reads RSA, EC, Ed25519 and ML-DSA keys in PEM (PKCS#8, SEC1, PKCS#1), and writes them encrypted, as generate-key-pair does.
A password that opens the old file comes from LACRE_IMPORT_PASSWORD; without it COSIGN_PASSWORD opens the old file too.

  lacre import-key-pair --key openssl.pem --output-key-prefix release`,
  isCosign: true,
  flags: {
    key: text("The private key: PEM file or env://NAME", { alias: "k", placeholder: "file" }),
    outputKeyPrefix: text("Name of the files: NAME.key and NAME.pub (default import-cosign)", {
      alias: "o",
      placeholder: "name",
    }),
    yes: toggle("Replace files without asking", { alias: "y" }),
    output: choice(["text", "json"], "How to report"),
    ...GLOBAL_FLAGS,
  },
  async run(given, flags) {
    const context = applyGlobals(given, flags);
    if (flags.key === undefined || flags.key === "")
      throw new CliError("USAGE", "--key is missing: which key shall be imported?");
    const old = context.env["LACRE_IMPORT_PASSWORD"];
    const source = await readKeyText(context, flags.key);
    const pkcs8 = await readPkcs8(
      context,
      old === undefined ? source : { ...source, password: { octets: Buffer.from(old), source: "LACRE_IMPORT_PASSWORD" } },
    );
    const { publicKey } = importPrivateKey(pkcs8);
    if (publicKey.rsaBits === 2048) context.terminal.warn("new signatures should be made with RSA keys of 3072 bits or more");
    const files = await claimFiles(context, flags.outputKeyPrefix ?? "import-cosign", flags.yes === true);
    await writePair(context, files, pkcs8, publicKey);
    if (flags.output === "json")
      context.terminal.result(
        JSON.stringify({ type: publicKey.type, privateKey: files.privatePath, publicKey: files.publicPath }),
      );
  },
});
