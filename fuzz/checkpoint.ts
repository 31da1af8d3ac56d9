// SPDX-License-Identifier: Apache-2.0
/** Checkpoints: read, written back, and never found signed by a key that did not. */
import { fromHex, text, utf8 } from "../packages/core/src/bytes/index.ts";
import { checkNoteSignature, formatCheckpointText, noteKeyId, parseCheckpoint } from "../packages/core/src/bundle/index.ts";
import { generateKey, importPublicKey } from "../packages/core/src/crypto/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "checkpoint";

const NAME = "log.lacre.example";
const SOURCE =
  "log.lacre.example\n1\nOmTLlTEHG08np3VnEIFh4wY770eZqrXzwwyw7aSrmuM=\n\n— log.lacre.example atqHn1XNhgQVSMHC6FygZZruGRom8mJYSAZnQTGwHkdaCd5SvQG8MRUEFsZpgd+4WEVn+7yUZd+Z+1aL1nrCYoh2uA4=\n";
const key = importPublicKey(fromHex("302a300506032b657003210003a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8"));
const stranger = generateKey("P-256").publicKey;

export const seeds: Uint8Array[] = [
  SOURCE,
  "rekor.lacre.example - 1234567890123456789\n1\nn87OChh9rXTNtlNGfJXtmq03o3d0GoSVSV4HBJGTSaM=\nTimestamp: 1\n\n— rekor.lacre.example v8uitzBFAiEAgBkWLdp8NLNEbni1CZuPsIhq+ETiQOzmLK/eq3Q6zPMCICYNK425+GcOVrMSYYBn9iWU/wVP6/79Hgx0jf6lZAg0\n",
].map(utf8);

const SIGNED = parseCheckpoint(SOURCE).note.text;

export function target(bytes: Uint8Array): void {
  const { origin, size, root, extensions, note } = parseCheckpoint(text(bytes));
  const again = formatCheckpointText(origin, size, root) + extensions.map((line) => `${line}\n`).join("");
  if (again !== note.text) throw new Error("a checkpoint is not written as it was read");
  for (const by of [key, stranger]) {
    for (const { keyHint, name: signer } of note.signatures) {
      try {
        checkNoteSignature({ note, name: signer, keyHint, key: by });
      } catch (error) {
        if (!(error instanceof LacreError)) throw error;
        continue;
      }
      if (by !== key || note.text !== SIGNED) throw new Error("accepted a signature that was never made");
    }
  }
  checkNoteSignature({ note, name: NAME, keyHint: noteKeyId(NAME, key), key });
}
