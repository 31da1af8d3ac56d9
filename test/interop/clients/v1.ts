// SPDX-License-Identifier: Apache-2.0
// Clients of the v1 dialect: those that know no other, and the others told to use it. Where a client of this list signs
// with a signing config, it is one whose only ledger is the v1 log.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { homeEnv, LACRE, succeed } from "../../harness.ts";
import { type Client, cosignPath, type Kind, part, type Setting, type Signer, SLSA } from "./index.ts";

/** cosign 2.6, built from its module: Debian has no package of it. */
export function cosign26Path(): string {
  return join(part("go", "github.com/sigstore/cosign/v2/cmd/cosign@v2.6.4"), "cosign");
}

/** The installation's signing config, less every ledger of another dialect. */
export function v1Config(setting: Setting): string {
  const path = join(setting.home, "signing_config.v1.json");
  const config = JSON.parse(readFileSync(join(setting.trust, "signing_config.v0.2.json"), "utf8"));
  config.rekorTlogUrls = config.rekorTlogUrls.filter((service: { majorApiVersion: number }) => service.majorApiVersion === 1);
  writeFileSync(path, JSON.stringify(config));
  return path;
}

const verbs = (setting: Setting, kind: Kind): string[] =>
  kind === "blob" ? ["sign-blob"] : ["attest-blob", "--predicate", setting.predicate, "--type", "slsaprovenance1"];
const root = (setting: Setting): string[] => ["--trusted-root", join(setting.trust, "trusted_root.json")];

/** cosign 2.6 as most of its users run it: addresses as flags. Verifies what carries timestamps by them. */
export function cosign26(): Client {
  const command = cosign26Path();
  return {
    name: "cosign 2.6",
    async sign(setting, kind, file, bundle) {
      const services = ["--fulcio-url", setting.url, "--rekor-url", setting.url];
      await succeed(
        command,
        [
          ...verbs(setting, kind),
          "--yes",
          ...services,
          ...root(setting),
          "--new-bundle-format",
          "--identity-token",
          await setting.token(),
          "--bundle",
          bundle,
          file,
        ],
        { env: homeEnv(setting.home) },
      );
    },
    async verify(setting, kind, file, bundle) {
      const verb = kind === "blob" ? ["verify-blob"] : ["verify-blob-attestation", "--type", "slsaprovenance1"];
      const policy = ["--certificate-identity", setting.identity, "--certificate-oidc-issuer", setting.issuer];
      const stamped = readFileSync(bundle, "utf8").includes("rfc3161Timestamps") ? ["--use-signed-timestamps"] : [];
      await succeed(
        command,
        [...verb, ...policy, ...root(setting), "--new-bundle-format", ...stamped, "--bundle", bundle, file],
        { env: homeEnv(setting.home) },
      );
    },
  };
}

function byConfig(
  name: string,
  command: string,
  prefix: readonly string[],
  more: readonly string[] = [],
  config: (setting: Setting) => string = v1Config,
): Signer {
  return {
    name,
    async sign(setting, kind, file, bundle) {
      const flags = [
        "--yes",
        "--signing-config",
        config(setting),
        ...root(setting),
        ...more,
        "--identity-token",
        await setting.token(),
        "--bundle",
        bundle,
      ];
      await succeed(command, [...prefix, ...verbs(setting, kind), ...flags, file], { env: homeEnv(setting.home) });
    },
  };
}

export function lacreV1(): Signer {
  return byConfig("lacre (v1)", process.execPath, [LACRE]);
}

export function cosign26Config(): Signer {
  return byConfig("cosign 2.6 by signing config (v1)", cosign26Path(), [], ["--new-bundle-format"]);
}

/** … and with the installation's own, of which it takes log v2. */
export function cosign26V2(): Signer {
  return byConfig("cosign 2.6 by signing config", cosign26Path(), [], ["--new-bundle-format"], (setting) =>
    join(setting.trust, "signing_config.v0.2.json"),
  );
}

export function cosign31V1(): Signer {
  return byConfig("cosign 3.1 (v1)", cosignPath(), []);
}

export function sigstoreJsV1(): Signer {
  const program = join(import.meta.dirname, "sigstore-js.ts");
  return {
    name: "sigstore-js 5 (v1)",
    async sign(setting, kind, file, bundle) {
      await succeed(process.execPath, [
        program,
        `${kind === "blob" ? "sign-blob" : "attest-blob"}-v1`,
        setting.url,
        await setting.token(),
        file,
        bundle,
      ]);
    },
  };
}

/** sigstore-python 3.6 speaks v1 alone, and has a trust config of its own. */
export function sigstorePython3(): Client {
  const command = join(part("python", "sigstore3", "sigstore==3.6.7"), "sigstore");
  const config = (setting: Setting): string[] => ["--trust-config", join(setting.trust, "trust_config.python3.json")];
  return {
    name: "sigstore-python 3.6",
    async sign(setting, kind, file, bundle) {
      const verb = kind === "blob" ? ["sign"] : ["attest", "--predicate", setting.predicate, "--predicate-type", SLSA];
      await succeed(command, [...config(setting), ...verb, "--identity-token", await setting.token(), "--bundle", bundle, file], {
        env: homeEnv(setting.home),
      });
    },
    async verify(setting, _kind, file, bundle) {
      const policy = ["--cert-identity", setting.identity, "--cert-oidc-issuer", setting.issuer];
      await succeed(command, [...config(setting), "verify", "identity", "--bundle", bundle, ...policy, file], {
        env: homeEnv(setting.home),
      });
    },
  };
}

export function sigstorePython4V1(): Signer {
  const command = join(part("python", "sigstore4", "sigstore==4.5.0"), "sigstore");
  return {
    name: "sigstore-python 4 (v1)",
    async sign(setting, kind, file, bundle) {
      const verb = kind === "blob" ? ["sign"] : ["attest", "--predicate", setting.predicate, "--predicate-type", SLSA];
      const trust = ["--trust-config", join(setting.trust, "trust_config.json")];
      await succeed(
        command,
        [...trust, ...verb, "--rekor-version", "1", "--identity-token", await setting.token(), "--bundle", bundle, file],
        { env: homeEnv(setting.home) },
      );
    },
  };
}
