// SPDX-License-Identifier: Apache-2.0
// sigstore-go and sigstore-java, libraries without a command of their own: one by its conformance program, one by ours.
import { join } from "node:path";
import { homeEnv, succeed } from "../../harness.ts";
import { type Client, part, type Verifier } from "./index.ts";

/** The newest that the proxy serves, with the program of its own conformance tests. */
export function sigstoreGo(): Client {
  const command = join(part("go", "github.com/sigstore/sigstore-go/test/conformance@v1.2.1"), "conformance");
  return {
    name: "sigstore-go 1.2",
    async sign(setting, kind, file, bundle) {
      if (kind !== "blob") throw new Error("its program signs files alone");
      await succeed(
        command,
        [
          "sign-bundle",
          "--identity-token",
          await setting.token(),
          "--bundle",
          bundle,
          "--trusted-root",
          join(setting.trust, "trusted_root.json"),
          "--signing-config",
          join(setting.trust, "signing_config.v0.2.json"),
          file,
        ],
        { env: homeEnv(setting.home) },
      );
    },
    async verify(setting, _kind, file, bundle) {
      await succeed(
        command,
        [
          "verify-bundle",
          "--bundle",
          bundle,
          "--certificate-identity",
          setting.identity,
          "--certificate-oidc-issuer",
          setting.issuer,
          "--trusted-root",
          join(setting.trust, "trusted_root.json"),
          file,
        ],
        { env: homeEnv(setting.home) },
      );
    },
  };
}

/** Its signing asks for gRPC over TLS, so it verifies only. */
export function sigstoreJava(): Verifier {
  const jars = part("java", "sigstore", "dev.sigstore:sigstore-java:2.0.0");
  const program = join(import.meta.dirname, "java", "Verify.java");
  return {
    name: "sigstore-java 2.0",
    async verify(setting, _kind, file, bundle) {
      const root = join(setting.trust, "trusted_root.json");
      await succeed("java", ["-cp", `${jars}/*`, program, root, setting.identity, setting.issuer, file, bundle]);
    },
  };
}
