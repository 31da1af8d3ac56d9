// SPDX-License-Identifier: Apache-2.0
/** Docker's configuration: helpers are names of programs, and credentials are complete. */
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { changeDockerConfig, decodeDockerConfig } from "../packages/cli/src/registry/config.ts";

export const name = "docker-config";

export const seeds: Uint8Array[] = [
  '{"auths":{"registry.example.com:5000":{"auth":"YWxpY2U6c2VjcmV0"},"https://index.docker.io/v1/":{"identitytoken":"t"},"quay.io/team":{"auth":"YTpi"}},"credHelpers":{"gcr.io":"gcloud"},"credsStore":"pass","HttpHeaders":{"a":"b"}}',
  '{"auths":{"https://old.example.com/v2/":{"username":"a","password":"b"},"x":{"registrytoken":"t"}}}',
].map(utf8);

export function target(bytes: Uint8Array): void {
  const { auths, helpers, store } = decodeDockerConfig(bytes);
  for (const helper of [...helpers.values(), ...(store === undefined ? [] : [store])])
    if (/[^A-Za-z0-9._-]/.test(helper)) throw new Error("a helper that is a path");
  for (const [registry, credential] of auths) {
    if (registry.includes("/")) throw new Error("a registry that is a path");
    if (credential.kind === "basic" && credential.username === "") throw new Error("nobody");
  }
  const changed = utf8(changeDockerConfig(bytes, "new.example.com", { username: "me", password: "pw" }));
  if (decodeDockerConfig(changed).auths.get("new.example.com") === undefined) throw new Error("forgot at once");
  if (text(changed) === "") throw new Error("lost the file");
}
