// SPDX-License-Identifier: Apache-2.0
/** Log entries that are not what they seem (blocks F and G). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { noteKeyId, signNote } from "@lacre/core/bundle";
import { fromBase64, toBase64, toHex, utf8 } from "@lacre/core/bytes";
import { canonicalJson, formatPem, type Json } from "@lacre/core/codec";
import { algorithmOf, generateKey, sha256, signMessage } from "@lacre/core/crypto";
import type { CheckId } from "@lacre/core/verify";
import {
  ARTIFACT,
  changeNote,
  createLog2,
  flip,
  inBase64,
  logInstance,
  logOne,
  promiseEntry,
  seal,
  SIGNED_MS,
  type EntryParts,
  type Mutable,
  type Recipe,
} from "../workshop/workshop.ts";
import { accepts, assertRefused, judge, refuses, workshop } from "./trial.ts";

const V01 = "application/vnd.dev.sigstore.bundle+json;version=0.1";
const entryOf = (bundle: Mutable): Mutable => bundle["verificationMaterial"].tlogEntries[0];
const proofOf = (bundle: Mutable): Mutable => entryOf(bundle)["inclusionProof"];

/** Changes the body that is logged. */
function inBody(change: (spec: Mutable) => void): (parts: EntryParts) => void {
  return (parts: EntryParts) => {
    const body = JSON.parse(parts.body) as Mutable;
    change(body["spec"]);
    parts.body = canonicalJson(body as Json);
  };
}

// An entry that the log vouches for, about something else. Each kind, each field, by promise and by proof.

const otherPem = toBase64(utf8(formatPem("CERTIFICATE", seal(workshop).leaf!.der)));
const otherKeyPem = toBase64(utf8(formatPem("PUBLIC KEY", generateKey("P-256").publicKey.spki)));
const otherDer = toBase64(seal(workshop).leaf!.der);
const otherSignature = toBase64(seal(workshop).signature);

interface Kind {
  readonly name: string;
  readonly id: CheckId;
  readonly recipe: Recipe;
  readonly fields: Readonly<Record<string, (spec: Mutable) => void>>;
}

const KINDS: readonly Kind[] = [
  {
    name: "hashedrekord 0.0.1",
    id: "G1",
    recipe: {},
    fields: {
      digest: (spec) => void (spec["data"].hash.value = toHex(sha256(utf8("other")))),
      signature: (spec) => void (spec["signature"].content = otherSignature),
      certificate: (spec) => void (spec["signature"].publicKey.content = otherPem),
      "a key for the certificate": (spec) => void (spec["signature"].publicKey.content = otherKeyPem),
    },
  },
  {
    name: "hashedrekord 0.0.2",
    id: "G2",
    recipe: { dialect: "v2" },
    fields: {
      digest: (spec) => void (spec["hashedRekordV002"].data.digest = toBase64(sha256(utf8("other")))),
      signature: (spec) => void (spec["hashedRekordV002"].signature.content = otherSignature),
      certificate: (spec) => void (spec["hashedRekordV002"].signature.verifier.x509Certificate.rawBytes = otherDer),
      "an algorithm that does not fit": (spec) =>
        void (spec["hashedRekordV002"].signature.verifier.keyDetails = "PKIX_ECDSA_P384_SHA_384"),
      "an algorithm of another kind of key": (spec) =>
        void (spec["hashedRekordV002"].signature.verifier.keyDetails = "PKIX_RSA_PKCS1V15_2048_SHA256"),
    },
  },
  {
    name: "hashedrekord 0.0.2 of an envelope",
    id: "G2",
    recipe: { dialect: "v2", content: "dsse" },
    fields: {
      digest: (spec) => void (spec["hashedRekordV002"].data.digest = toBase64(sha256(utf8("other")))),
      "the payload's digest": (spec) => void (spec["hashedRekordV002"].data.digest = toBase64(sha256(utf8("{}")))),
    },
  },
  {
    name: "dsse 0.0.1",
    id: "G3",
    recipe: { content: "dsse" },
    fields: {
      payload: (spec) => void (spec["payloadHash"].value = toHex(sha256(utf8("other")))),
      signature: (spec) => void (spec["signatures"][0].signature = otherSignature),
      certificate: (spec) => void (spec["signatures"][0].verifier = otherPem),
      "a second signature": (spec) => void spec["signatures"].push({ signature: otherSignature, verifier: otherPem }),
      "no signature": (spec) => void (spec["signatures"] = []),
    },
  },
  {
    name: "dsse 0.0.2",
    id: "G3",
    recipe: { dialect: "v2", content: "dsse", kind: "dsse" },
    fields: {
      payload: (spec) => void (spec["dsseV002"].payloadHash.digest = toBase64(sha256(utf8("other")))),
      signature: (spec) => void (spec["dsseV002"].signatures[0].content = otherSignature),
      certificate: (spec) => void (spec["dsseV002"].signatures[0].verifier.x509Certificate.rawBytes = otherDer),
    },
  },
  {
    name: "intoto 0.0.2",
    id: "G4",
    recipe: { content: "dsse", kind: "intoto" },
    fields: {
      payload: (spec) => void (spec["content"].payloadHash.value = toHex(sha256(utf8("other")))),
      signature: (spec) => void (spec["content"].envelope.signatures[0].sig = toBase64(utf8(otherSignature))),
      certificate: (spec) => void (spec["content"].envelope.signatures[0].publicKey = otherPem),
      "payload type": (spec) => void (spec["content"].envelope.payloadType = "text/plain"),
    },
  },
];

for (const { name, id, recipe, fields } of KINDS) {
  for (const [field, change] of Object.entries(fields)) {
    refuses(`a ${name} entry with another ${field}`, { recipe: { ...recipe, entry: inBody(change) } }, id, "ENTRY_MISMATCH");
    if (recipe.dialect === "v2") continue;
    // A promise alone, as version 0.1 allows.
    const promised: Recipe = {
      ...recipe,
      mediaType: V01,
      entry: (parts) => {
        inBody(change)(parts);
        parts.hasProof = false;
      },
    };
    refuses(`a promised ${name} entry with another ${field}`, { recipe: promised }, id, "ENTRY_MISMATCH");
  }
  test(`refuses the ${name} entry of another bundle`, () => {
    const other = seal(workshop, { ...recipe, artifact: utf8("another artifact\n") });
    const verdict = judge({
      recipe: {
        ...recipe,
        bundle: (bundle) => void (bundle["verificationMaterial"].tlogEntries = other.bundle["verificationMaterial"].tlogEntries),
      },
    });
    assertRefused(verdict, id, "ENTRY_MISMATCH");
  });
}

refuses(
  "an entry whose digest is not of the hash that its algorithm signs",
  {
    recipe: {
      dialect: "v2",
      keyType: "P-384",
      entry: inBody(
        (spec) => void (spec["hashedRekordV002"].data = { algorithm: "SHA2_256", digest: toBase64(sha256(ARTIFACT)) }),
      ),
    },
  },
  "G2",
  "ENTRY_MISMATCH",
);
refuses(
  "an entry that records no signature",
  {
    recipe: {
      content: "dsse",
      kind: "intoto",
      entry: (parts) => {
        const { hash, payloadHash, envelope } = (JSON.parse(parts.body) as Mutable)["spec"].content;
        parts.version = "0.0.1";
        parts.body = canonicalJson({
          apiVersion: "0.0.1",
          kind: "intoto",
          spec: { content: { hash, payloadHash }, publicKey: envelope.signatures[0].publicKey },
        });
      },
    },
  },
  "G4",
  "ENTRY_UNSUPPORTED",
);
refuses(
  "an entry of an envelope with the signature of a message",
  {
    recipe: {
      entry: (parts) => {
        const { signature } = (JSON.parse(parts.body) as Mutable)["spec"];
        const sha = { algorithm: "sha256", value: toHex(sha256(ARTIFACT)) };
        parts.kind = "dsse";
        parts.body = canonicalJson({
          apiVersion: "0.0.1",
          kind: "dsse",
          spec: {
            envelopeHash: sha,
            payloadHash: sha,
            signatures: [{ signature: signature.content, verifier: signature.publicKey.content }],
          },
        });
      },
    },
  },
  "G3",
  "ENTRY_MISMATCH",
);
refuses(
  "an entry by another key than the one given",
  { recipe: { signer: "key", entry: inBody((spec) => void (spec["signature"].publicKey.content = otherKeyPem)) } },
  "G1",
  "ENTRY_MISMATCH",
);
refuses(
  "an entry with a certificate where a key signed",
  { recipe: { signer: "key", entry: inBody((spec) => void (spec["signature"].publicKey.content = otherPem)) } },
  "G1",
  "ENTRY_MISMATCH",
);
refuses(
  "another certificate than was logged, the same key certified twice",
  { recipe: { dialect: "v2", shown: { certificate: fromBase64(otherDer) } } },
  "G2",
  "ENTRY_MISMATCH",
);

// F1, F2.

const stranger = createLog2("stranger.workshop.test");
refuses("an entry of an unknown log", { recipe: { dialect: "v2", log: stranger } }, "F1", "LOG_UNKNOWN");
refuses(
  "a bundle without a log entry",
  { recipe: { dialect: "v2", bundle: (bundle) => void (bundle["verificationMaterial"].tlogEntries = []) } },
  "F1",
  "LOG_ENTRY_MISSING",
);
refuses("a root without logs", { recipe: { root: (root) => void (root["tlogs"] = []) } }, "F1", "LOG_UNKNOWN");
refuses(
  "a kind that the body does not state",
  { recipe: { content: "dsse", bundle: (bundle) => void (entryOf(bundle)["kindVersion"].kind = "intoto") } },
  "F2",
  "ENTRY_INVALID",
);
refuses(
  "a version that the body does not state",
  { recipe: { bundle: (bundle) => void (entryOf(bundle)["kindVersion"].version = "0.0.2") } },
  "F2",
  "ENTRY_INVALID",
);
refuses("a kind that is unknown", { recipe: { entry: (parts) => void (parts.kind = "rekord") } }, "F2", "ENTRY_UNSUPPORTED");
refuses("an entry with a member of its own", { recipe: { entry: inBody((spec) => void (spec["x"] = 1)) } }, "F2", "BAD_JSON");
refuses("an entry that is no JSON", { recipe: { entry: (parts) => void (parts.body = "not JSON") } }, "F2", "BAD_JSON");

// F3.

refuses(
  "a promise of another entry",
  {
    recipe: {
      bundle: (bundle) =>
        void (entryOf(bundle)["inclusionPromise"].signedEntryTimestamp = toBase64(
          promiseEntry(workshop.rekor1, utf8("{}"), SIGNED_MS / 1000, 79_571_823),
        )),
    },
  },
  "F3",
  "PROMISE_INVALID",
);
for (const [what, change] of Object.entries<(entry: Mutable) => void>({
  time: (entry) => void (entry["integratedTime"] = `${SIGNED_MS / 1000 + 1}`),
  index: (entry) => void (entry["logIndex"] = "79571824"),
  "index beyond what JSON numbers hold": (entry) => void (entry["logIndex"] = "9007199254740993"),
  "time beyond what JSON numbers hold": (entry) => void (entry["integratedTime"] = "9007199254740993"),
  signature: (entry) =>
    void (entry["inclusionPromise"].signedEntryTimestamp = inBase64(entry["inclusionPromise"].signedEntryTimestamp, (bytes) =>
      flip(bytes),
    )),
})) {
  refuses(
    `a promise with another ${what}, also beside a good proof and a timestamp`,
    { recipe: { timestamp: true, bundle: (bundle) => change(entryOf(bundle)) } },
    "F3",
    "PROMISE_INVALID",
  );
}
/** The promise of the whole entry at this index, its digits as they are. */
function promisedAt(logIndex: string): Recipe {
  return {
    bundle: (bundle) => {
      const entry = entryOf(bundle);
      const signed = `{"body":"${entry["canonicalizedBody"]}","integratedTime":${entry["integratedTime"]},"logID":"${toHex(workshop.rekor1.logId)}","logIndex":${logIndex}}`;
      entry["logIndex"] = logIndex;
      entry["inclusionPromise"].signedEntryTimestamp = toBase64(
        signMessage(algorithmOf("PKIX_ECDSA_P256_SHA_256"), workshop.rekor1.key, utf8(signed)),
      );
    },
  };
}
accepts("a promise at the last index that JSON numbers hold", { recipe: promisedAt("9007199254740991") });
refuses("a promise that was signed at an index beyond", { recipe: promisedAt("9007199254740992") }, "F3", "PROMISE_INVALID");
refuses(
  "an integrated time without promise",
  { recipe: { entry: (parts) => void (parts.hasPromise = false) } },
  "D3",
  "TIME_MISSING",
);
refuses(
  "an integrated time that a log of tiles states",
  {
    recipe: {
      dialect: "v2",
      timestamp: false,
      bundle: (bundle) => void (entryOf(bundle)["integratedTime"] = `${SIGNED_MS / 1000}`),
    },
  },
  "D3",
  "TIME_MISSING",
  { recipe: { dialect: "v2" } },
);
refuses(
  "a promise without a time",
  {
    recipe: {
      entry: (parts) => void (parts.integratedTime = 0),
      root: (root) => void (root["tlogs"][0].publicKey.validFor.start = "1970-01-01T00:00:00Z"),
    },
  },
  "D3",
  "TIME_MISSING",
);
accepts("a log entry without promise beside a timestamp", {
  recipe: { timestamp: true, entry: (parts) => void (parts.hasPromise = false) },
});
accepts("a promise without proof in version 0.1", {
  recipe: { mediaType: V01, entry: (parts) => void (parts.hasProof = false) },
});
refuses(
  "a promise without proof where the policy wants proof",
  { recipe: { mediaType: V01, entry: (parts) => void (parts.hasProof = false) }, also: { requireProof: true } },
  "F4",
  "BUNDLE_NO_PROOF",
);
refuses(
  "a promise after the log's key had ended",
  { recipe: { root: (root) => void (root["tlogs"][0].publicKey.validFor.end = new Date(SIGNED_MS - 1).toISOString()) } },
  "F3",
  "OUTSIDE_WINDOW",
);
accepts("a promise at the last moment of the log's key", {
  recipe: { root: (root) => void (root["tlogs"][0].publicKey.validFor.end = new Date(SIGNED_MS).toISOString()) },
});
refuses(
  "a promise before the log's key began",
  { recipe: { root: (root) => void (root["tlogs"][0].publicKey.validFor.start = new Date(SIGNED_MS + 1).toISOString()) } },
  "F3",
  "OUTSIDE_WINDOW",
);

// F4, F7.

const PROOFS: Readonly<Record<string, readonly [CheckId, "PROOF_MISMATCH" | "CHECKPOINT_MISMATCH", (proof: Mutable) => void]>> = {
  "one hash too many": ["F4", "PROOF_MISMATCH", (proof) => void proof["hashes"].push(toBase64(sha256(utf8("more"))))],
  "one hash too few": ["F4", "PROOF_MISMATCH", (proof) => void proof["hashes"].pop()],
  "no hashes": ["F4", "PROOF_MISMATCH", (proof) => void (proof["hashes"] = [])],
  "a changed hash": [
    "F4",
    "PROOF_MISMATCH",
    (proof) => void (proof["hashes"][0] = inBase64(proof["hashes"][0], (bytes) => flip(bytes))),
  ],
  "hashes in another order": ["F4", "PROOF_MISMATCH", (proof) => void (proof["hashes"] = proof["hashes"].toReversed())],
  "another index": ["F4", "PROOF_MISMATCH", (proof) => void (proof["logIndex"] = "3")],
  "an index beyond the tree": ["F4", "PROOF_MISMATCH", (proof) => void (proof["logIndex"] = "7")],
  "an index of 2^53 + 1": ["F4", "PROOF_MISMATCH", (proof) => void (proof["logIndex"] = "9007199254740993")],
  "another tree size": ["F7", "CHECKPOINT_MISMATCH", (proof) => void (proof["treeSize"] = "8")],
  "tree size 0": ["F7", "CHECKPOINT_MISMATCH", (proof) => void (proof["treeSize"] = "0")],
  "tree size 1": ["F7", "CHECKPOINT_MISMATCH", (proof) => void (proof["treeSize"] = "1")],
  "another root": ["F7", "CHECKPOINT_MISMATCH", (proof) => void (proof["rootHash"] = toBase64(sha256(utf8("root"))))],
};
for (const [what, [id, code, change]] of Object.entries(PROOFS)) {
  for (const dialect of ["v1", "v2"] as const)
    refuses(`a proof with ${what} (${dialect})`, { recipe: { dialect, bundle: (bundle) => change(proofOf(bundle)) } }, id, code);
}
accepts("a proof that states no root", {
  recipe: { dialect: "v2", bundle: (bundle) => void delete proofOf(bundle)["rootHash"] },
});
refuses(
  "a body that is not the leaf",
  {
    recipe: {
      dialect: "v2",
      bundle: (bundle) =>
        void (entryOf(bundle)["canonicalizedBody"] = inBase64(entryOf(bundle)["canonicalizedBody"], (bytes) =>
          utf8(`${new TextDecoder().decode(bytes)} `),
        )),
    },
  },
  "F4",
  "PROOF_MISMATCH",
);
refuses(
  "a checkpoint of another tree, signed by the log",
  {
    recipe: {
      dialect: "v2",
      checkpointText: (text) => text.replace(/\n[^\n]+\n$/, `\n${toBase64(sha256(utf8("root")))}\n`),
      bundle: (bundle) => void delete proofOf(bundle)["rootHash"],
    },
  },
  "F4",
  "PROOF_MISMATCH",
);
refuses(
  "a checkpoint of another size, signed by the log",
  { recipe: { dialect: "v2", checkpointText: (text) => text.replace("\n7\n", "\n8\n") } },
  "F7",
  "CHECKPOINT_MISMATCH",
);

// F5, F6.

const other2 = createLog2("other.workshop.test");
const witness = createLog2("witness.workshop.test");
const NOTES: Readonly<
  Record<
    string,
    readonly [
      CheckId,
      "BAD_NOTE" | "CHECKPOINT_INVALID" | "CHECKPOINT_UNSIGNED" | "SIGNATURE_INVALID" | "TOO_LARGE",
      (note: string) => string,
    ]
  >
> = {
  "a changed signature": [
    "F6",
    "SIGNATURE_INVALID",
    changeNote((note) => ({
      ...note,
      signatures: note.signatures.map((line) => ({ ...line, signature: flip(line.signature) })),
    })),
  ],
  "a changed key hint": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({ ...note, signatures: note.signatures.map((line) => ({ ...line, keyHint: flip(line.keyHint) })) })),
  ],
  "the signature of a witness only": ["F6", "CHECKPOINT_UNSIGNED", (note) => resign(note, witness)],
  "the signature of another log's key under its own name": ["F6", "CHECKPOINT_UNSIGNED", (note) => resign(note, other2)],
  "the log's key under another name": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    (note) => resign(note, { ...workshop.rekor2, name: "else.workshop.test" }),
  ],
  "another key that claims the log's name and hint": [
    "F6",
    "SIGNATURE_INVALID",
    (note) =>
      changeNote((made) => ({
        ...made,
        signatures: made.signatures.map((line) => ({
          ...line,
          name: workshop.rekor2.name,
          keyHint: workshop.rekor2.logId.subarray(0, 4),
        })),
      }))(resign(note, other2)),
  ],
  "the log's name in capitals": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({ ...note, signatures: note.signatures.map((line) => ({ ...line, name: line.name.toUpperCase() })) })),
  ],
  "a name that starts like the log's": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({ ...note, signatures: note.signatures.map((line) => ({ ...line, name: `${line.name}.evil.test` })) })),
  ],
  "a name that ends like the log's": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({ ...note, signatures: note.signatures.map((line) => ({ ...line, name: `evil-${line.name}` })) })),
  ],
  "a name that is part of the log's": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({ ...note, signatures: note.signatures.map((line) => ({ ...line, name: line.name.slice(0, -5) })) })),
  ],
  "a name that the log's would match as a pattern": [
    "F6",
    "CHECKPOINT_UNSIGNED",
    changeNote((note) => ({
      ...note,
      signatures: note.signatures.map((line) => ({ ...line, name: line.name.replaceAll(".", "x") })),
    })),
  ],
  "an extra line in its text": ["F6", "SIGNATURE_INVALID", changeNote((note) => ({ ...note, text: `${note.text}more\n` }))],
  "no signature": ["F5", "BAD_NOTE", (note) => note.slice(0, note.indexOf("\n\n") + 2)],
  "no blank line": ["F5", "BAD_NOTE", (note) => note.replace("\n\n", "\n")],
  "an extra blank line": ["F5", "CHECKPOINT_INVALID", (note) => note.replace("\n\n", "\n\n\n")],
  "carriage returns": ["F5", "BAD_NOTE", (note) => note.replaceAll("\n", "\r\n")],
  "text after its signature": ["F5", "BAD_NOTE", (note) => `${note}more\n`],
  "no newline at its end": ["F5", "BAD_NOTE", (note) => note.slice(0, -1)],
  "no origin": ["F5", "CHECKPOINT_INVALID", (note) => note.slice(note.indexOf("\n"))],
  "twenty-one signature lines": ["F5", "TOO_LARGE", (note) => note + `— w ${toBase64(new Uint8Array(68))}\n`.repeat(20)],
  "a signature that is no base64": ["F5", "BAD_NOTE", (note) => note.replace(/=*\n$/, "!\n")],
};
for (const [what, [id, code, change]] of Object.entries(NOTES))
  refuses(`a checkpoint with ${what}`, { recipe: { dialect: "v2", checkpoint: change } }, id, code);

const TEXTS: Readonly<Record<string, (text: string) => string>> = {
  "leading zeros in its size": (text) => text.replace("\n7\n", "\n07\n"),
  "a plus sign before its size": (text) => text.replace("\n7\n", "\n+7\n"),
  "a negative size": (text) => text.replace("\n7\n", "\n-7\n"),
  "a size in hexadecimal": (text) => text.replace("\n7\n", "\n0x7\n"),
  "a root of 31 octets": (text) => text.replace(/\n[^\n]+\n$/, `\n${toBase64(new Uint8Array(31))}\n`),
  "a root that is no base64": (text) => text.replace(/\n[^\n]+\n$/, "\nroot\n"),
  "no root": (text) => text.replace(/\n[^\n]+\n$/, "\n"),
};
for (const [what, change] of Object.entries(TEXTS))
  refuses(`a signed checkpoint with ${what}`, { recipe: { dialect: "v2", checkpointText: change } }, "F5", "CHECKPOINT_INVALID");

for (const [what, origin] of Object.entries({
  "another log": "other.workshop.test",
  "a path of the log": "log2026.workshop.test/shard",
  "a longer name": "log2026.workshop.test.evil.test",
  "a tree that is no number": "log2026.workshop.test - x",
})) {
  refuses(
    `a checkpoint that the log signed, but that calls itself ${what}`,
    { recipe: { dialect: "v2", checkpointText: (text) => text.replace(/^[^\n]+/, origin) } },
    "F6",
    "CHECKPOINT_UNSIGNED",
  );
}
/** A root made of a bare key: its log has no name, and its id is the key's hash. */
const nameless = (root: Mutable): void => {
  root["tlogs"] = [{ ...root["tlogs"][0], baseUrl: "" }];
};
accepts("a log whose root says no name, by its key", { recipe: { root: nameless } });
refuses(
  "a checkpoint with a changed signature where the root says no name",
  {
    recipe: {
      root: nameless,
      checkpoint: changeNote((note) => ({
        ...note,
        signatures: note.signatures.map((line) => ({ ...line, signature: flip(line.signature) })),
      })),
    },
  },
  "F6",
  "SIGNATURE_INVALID",
  { recipe: { root: nameless } },
);
refuses(
  "a checkpoint of another log where the root says no name",
  { recipe: { root: nameless, checkpointText: (text) => text.replace(/^.*/, "else.workshop.test") } },
  "F6",
  "CHECKPOINT_UNSIGNED",
  { recipe: { root: nameless } },
);
accepts("cosignatures of witnesses before and after the log's", {
  recipe: {
    dialect: "v2",
    checkpoint: changeNote((note) => {
      const line = (name: string) => ({ name, keyHint: Uint8Array.of(1, 2, 3, 4), signature: new Uint8Array(72) });
      return { ...note, signatures: [line("witness.example/w1"), ...note.signatures, line("witness.example/w2")] };
    }),
  },
});
accepts("further lines in a checkpoint", { recipe: { checkpointText: (text) => `${text}Timestamp: 1700000000000000000\n` } });

function resign(note: string, log: { readonly name: string; readonly key: (typeof workshop.rekor2)["key"] }): string {
  return signNote(`${note.slice(0, note.indexOf("\n\n"))}\n`, log.name, log.key);
}

// F8, F10.

const inRoot2 = (change: (log: Mutable) => void): Recipe => ({ dialect: "v2", root: (root) => change(root["tlogs"][1]) });
refuses(
  "a timestamp after the log's key had ended",
  { recipe: inRoot2((log) => void (log["publicKey"].validFor.end = new Date(SIGNED_MS - 1000).toISOString())) },
  "F8",
  "OUTSIDE_WINDOW",
);
refuses(
  "a timestamp before the log's key began",
  { recipe: inRoot2((log) => void (log["publicKey"].validFor.start = new Date(SIGNED_MS + 1000).toISOString())) },
  "F8",
  "OUTSIDE_WINDOW",
);
accepts("a log whose key is listed for several windows", {
  recipe: {
    dialect: "v2",
    root: (root) => {
      const [, log] = root["tlogs"] as Mutable[];
      const early = structuredClone(log!);
      early["publicKey"].validFor = { start: "2020-01-01T00:00:00Z", end: "2021-01-01T00:00:00Z" };
      root["tlogs"] = [early, log];
    },
  },
});
refuses(
  "a log entry by a key that had ended by now, where nothing proves a time",
  {
    recipe: {
      dialect: "v2",
      signer: "key",
      timestamp: false,
      root: (root) => void (root["tlogs"][1].publicKey.validFor.end = new Date(SIGNED_MS).toISOString()),
    },
  },
  "F8",
  "OUTSIDE_WINDOW",
);
refuses(
  "a log entry by a key that will end, where nothing proves a time and no clock is given",
  {
    nowMs: "none",
    recipe: {
      dialect: "v2",
      signer: "key",
      timestamp: false,
      root: (root) => void (root["tlogs"][1].publicKey.validFor.end = new Date(SIGNED_MS + 1e12).toISOString()),
    },
  },
  "F8",
  "OUTSIDE_WINDOW",
);
refuses(
  "an index that is not the proof's",
  { recipe: { dialect: "v2", bundle: (bundle) => void (entryOf(bundle)["logIndex"] = "5") } },
  "F10",
  "LOG_INDEX_MISMATCH",
);
accepts("an entry that leaves its index to the proof", {
  recipe: { dialect: "v2", bundle: (bundle) => void delete entryOf(bundle)["logIndex"] },
});

// F9: what counts, and how often.

/** A second entry for the same signature, in this log. */
function alsoIn(log: typeof workshop.rekor2, root: (root: Mutable) => void = () => {}): Recipe {
  return {
    dialect: "v2",
    bundle: (bundle) => {
      const [entry] = bundle["verificationMaterial"].tlogEntries as Mutable[];
      const body = new TextDecoder().decode(fromBase64(entry!["canonicalizedBody"]));
      const made = logOne(log, {
        body,
        kind: "hashedrekord",
        version: "0.0.2",
        integratedTime: 0,
        logIndex: 0,
        hasPromise: false,
        hasProof: true,
      });
      bundle["verificationMaterial"].tlogEntries.push(made);
    },
    root,
  };
}
const listed = (log: typeof workshop.rekor2) => (root: Mutable) => void root["tlogs"].push(logInstance(log, "PKIX_ED25519"));
const two = { options: { logEntries: 2 } };

accepts("two entries of two logs where two are required", { recipe: alsoIn(other2, listed(other2)), ...two });
refuses("one entry where two are required", { recipe: { dialect: "v2" }, ...two }, "F9", "LOG_ENTRY_MISSING", "none");
refuses("the same entry twice where two are required", { recipe: alsoIn(workshop.rekor2), ...two }, "F9", "LOG_ENTRY_MISSING", {
  recipe: alsoIn(workshop.rekor2),
});
refuses(
  "a good entry and one of an unknown log where two are required",
  { recipe: alsoIn(stranger), ...two },
  "F9",
  "LOG_ENTRY_MISSING",
  { recipe: alsoIn(stranger) },
);
test("an entry of an unknown log does not count, and is reported", () => {
  const verdict = judge({ recipe: alsoIn(stranger) });
  assert.equal(verdict.outcome, "verified");
  assert.equal(verdict.logEntries?.length, 1);
  assert.ok(verdict.warnings.some((warning) => warning.includes("unknown log")));
});
const sameHost = { ...createLog2("log2026.workshop.test"), name: "log2026.workshop.test" };
refuses(
  "two logs of one operator where two are required",
  { recipe: alsoIn(sameHost, listed(sameHost)), ...two },
  "F9",
  "LOG_ENTRY_MISSING",
  { recipe: alsoIn(sameHost, listed(sameHost)) },
);

/** As alsoIn, the second entry spoilt. */
function alsoBad(change: (entry: Mutable) => void): Recipe {
  const recipe = alsoIn(other2, listed(other2));
  return {
    ...recipe,
    bundle: (bundle) => {
      recipe.bundle!(bundle);
      change(bundle["verificationMaterial"].tlogEntries[1]);
    },
  };
}
const GOOD_PAIR = { recipe: alsoIn(other2, listed(other2)) };
refuses(
  "a good entry beside one with a bad proof",
  { recipe: alsoBad((entry) => void entry["inclusionProof"].hashes.pop()) },
  "F4",
  "PROOF_MISMATCH",
  GOOD_PAIR,
);
refuses(
  "a good entry beside one with a bad checkpoint",
  {
    recipe: alsoBad(
      (entry) =>
        void (entry["inclusionProof"].checkpoint.envelope = entry["inclusionProof"].checkpoint.envelope.replaceAll(
          "other.",
          "otter.",
        )),
    ),
  },
  "F6",
  "CHECKPOINT_UNSIGNED",
  GOOD_PAIR,
);
refuses(
  "a good entry beside one about something else",
  {
    recipe: {
      ...GOOD_PAIR.recipe,
      bundle: (bundle) => {
        const other = seal(workshop, { dialect: "v2", log: other2 });
        bundle["verificationMaterial"].tlogEntries.push(...other.bundle["verificationMaterial"].tlogEntries);
      },
    },
  },
  "G2",
  "ENTRY_MISMATCH",
  GOOD_PAIR,
);

test("log ids are derived from keys as the workshop thinks", () => {
  assert.deepEqual(workshop.rekor2.logId, noteKeyId(workshop.rekor2.name, workshop.rekor2.key.publicKey));
});
