// SPDX-License-Identifier: Apache-2.0
/** Certificates for TLS between two parties of a test, by openssl. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Makes a folder with an authority (`ca.pem`), `server` under this name, and `client`: each `.key` and `.pem`, in PEM. */
export function makeTlsFiles(folder: string, serverName: string): void {
  mkdirSync(folder);
  const openssl = (words: string): unknown => execFileSync("openssl", words.split(" "), { cwd: folder, stdio: "ignore" });
  const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
  openssl(`req -x509 ${newKey} -keyout ca.key -out ca.pem -subj /CN=ca -days 2`);
  for (const [name, host] of [
    ["server", serverName],
    ["client", "client"],
  ] as const) {
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=DNS:${host}\n`);
    openssl(`req ${newKey} -keyout ${name}.key -out ${name}.csr -subj /CN=${name}`);
    openssl(`x509 -req -in ${name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out ${name}.pem -days 2 -extfile ${name}.ext`);
  }
}
