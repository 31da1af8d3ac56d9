// SPDX-License-Identifier: Apache-2.0
// The stock clients of the matrix, and ours, behind one face. Each signs and verifies as its users would.
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { homeEnv, LACRE, ROOT, succeed } from "../../harness.ts";

export type Kind = "blob" | "attestation";

/** Where one installation's material is, and who signs. */
export interface Setting {
  readonly url: string;
  readonly trust: string;
  readonly home: string;
  readonly token: () => Promise<string>;
  readonly identity: string;
  readonly issuer: string;
  readonly predicate: string;
}

export interface Signer {
  readonly name: string;
  sign(setting: Setting, kind: Kind, file: string, bundle: string): Promise<void>;
}

export interface Verifier {
  readonly name: string;
  verify(setting: Setting, kind: Kind, file: string, bundle: string): Promise<void>;
}

export interface Client extends Signer, Verifier {}

export const SLSA = "https://slsa.dev/provenance/v1";

/** A part that is installed or found by its script; prints what the script prints. */
export function part(script: string, ...args: string[]): string {
  return execFileSync(join(ROOT, "scripts", "parts", script), args, {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  }).trim();
}

function cosignFlags(setting: Setting, verify: boolean): string[] {
  return verify
    ? [
        "--certificate-identity",
        setting.identity,
        "--certificate-oidc-issuer",
        setting.issuer,
        "--trusted-root",
        join(setting.trust, "trusted_root.json"),
      ]
    : [
        "--yes",
        "--signing-config",
        join(setting.trust, "signing_config.v0.2.json"),
        "--trusted-root",
        join(setting.trust, "trusted_root.json"),
      ];
}

/** cosign and lacre share their command line: that is the promise. */
function cosignLike(name: string, command: string, prefix: readonly string[]): Client {
  return {
    name,
    async sign(setting, kind, file, bundle) {
      const verb =
        kind === "blob" ? ["sign-blob"] : ["attest-blob", "--predicate", setting.predicate, "--type", "slsaprovenance1"];
      await succeed(
        command,
        [...prefix, ...verb, ...cosignFlags(setting, false), "--identity-token", await setting.token(), "--bundle", bundle, file],
        { env: homeEnv(setting.home) },
      );
    },
    async verify(setting, kind, file, bundle) {
      const verb = kind === "blob" ? ["verify-blob"] : ["verify-blob-attestation", "--type", "slsaprovenance1"];
      await succeed(command, [...prefix, ...verb, ...cosignFlags(setting, true), "--bundle", bundle, file], {
        env: homeEnv(setting.home),
      });
    },
  };
}

export function lacre(): Client {
  return cosignLike("lacre", process.execPath, [LACRE]);
}

/** cosign 3.1 from Debian unstable. */
export function cosignPath(): string {
  return join(part("unpack", "sid", "cosign"), "usr", "bin", "cosign");
}

export function cosign(): Client {
  return cosignLike("cosign 3.1", cosignPath(), []);
}

export function sigstoreJs(): Client {
  const program = join(import.meta.dirname, "sigstore-js.ts");
  const tuf = (setting: Setting): string[] => [
    `${setting.url}/tuf`,
    join(setting.trust, "root.json"),
    join(setting.home, "sigstore-js"),
  ];
  return {
    name: "sigstore-js 5",
    async sign(setting, kind, file, bundle) {
      await succeed(process.execPath, [
        program,
        kind === "blob" ? "sign-blob" : "attest-blob",
        ...tuf(setting),
        await setting.token(),
        file,
        bundle,
      ]);
    },
    async verify(setting, kind, file, bundle) {
      await succeed(process.execPath, [
        program,
        kind === "blob" ? "verify-blob" : "verify-attestation",
        ...tuf(setting),
        setting.identity,
        setting.issuer,
        file,
        bundle,
      ]);
    },
  };
}

export function sigstorePython(): Client {
  const command = join(part("python", "sigstore4", "sigstore==4.5.0"), "sigstore");
  const config = (setting: Setting): string[] => ["--trust-config", join(setting.trust, "trust_config.json")];
  return {
    name: "sigstore-python 4",
    async sign(setting, kind, file, bundle) {
      const verb = kind === "blob" ? ["sign"] : ["attest", "--predicate", setting.predicate, "--predicate-type", SLSA];
      await succeed(command, [...config(setting), ...verb, "--identity-token", await setting.token(), "--bundle", bundle, file], {
        env: homeEnv(setting.home),
      });
    },
    async verify(setting, _kind, file, bundle) {
      await succeed(
        command,
        [
          ...config(setting),
          "verify",
          "identity",
          "--bundle",
          bundle,
          "--cert-identity",
          setting.identity,
          "--cert-oidc-issuer",
          setting.issuer,
          file,
        ],
        { env: homeEnv(setting.home) },
      );
    },
  };
}
