// SPDX-License-Identifier: Apache-2.0
/** TUF documents: what is read has a canonical form, and every path is judged without fault. */
import {
  delegationsOf,
  describeMismatch,
  DocumentError,
  factsOf,
  readDocument,
  ruleOf,
} from "../packages/cli/src/tuf/documents.ts";
import { checkSigned } from "../packages/cli/src/tuf/signatures.ts";
import { LacreError } from "../packages/core/src/errors.ts";
import { Repository } from "../test/tuf/repository.ts";

export const name = "tuf-document";

const repository = new Repository();
repository.delegate("targets", "a", { paths: ["*.t?t", "a/[!b-d]*"] });
repository.delegate("targets", "b", { paths: undefined, path_hash_prefixes: ["0", "ff"] });
repository.addTarget("x/y", "content");
repository.publishTargets("a", "b");

const LIMIT = 1 << 20;
export const seeds: Uint8Array[] = ["1.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"].map((file) =>
  repository.files.get(file)!,
);
const root = readDocument(seeds[0]!, "root", "root", LIMIT);

export function target(bytes: Uint8Array): void {
  try {
    const kind = /"_type": *"(root|timestamp|snapshot|targets)"/.exec(Buffer.from(bytes).toString("latin1"))?.[1] ?? "root";
    const document = readDocument(bytes, kind, "document", LIMIT);
    if (kind === "targets") for (const delegation of delegationsOf(document.signed)) delegation.matches("a/b.txt");
    if (kind === "timestamp" || kind === "snapshot") {
      const facts = factsOf(document, kind === "timestamp" ? "snapshot.json" : "targets.json");
      if (facts !== undefined) describeMismatch(facts, bytes);
    }
    ruleOf(document, "a");
    checkSigned(root, kind, document);
  } catch (error) {
    // The client's own refusal.
    if (error instanceof DocumentError) throw new LacreError("BAD_JSON", error.message);
    throw error;
  }
}
