// SPDX-License-Identifier: Apache-2.0
/**
 * The one error class of the library, and its table of codes.
 *
 * A code never changes its meaning; messages may. Services and the CLI map codes to HTTP statuses and exit codes in
 * tables of their own; nothing below them renders an error.
 */

/** What each code means, and the way out. `docs/errors.md` lists the same rows and is tested against this table. */
export const CODES = {
  // bytes/ and codec/: shape
  BAD_BASE64: {
    meaning: "Text is not strict standard base64.",
    hint: "Use the standard alphabet with padding and nothing else.",
  },
  BAD_HEX: { meaning: "Text is not hexadecimal, or of odd length.", hint: "Use pairs of the digits 0-9 and a-f." },
  BAD_UTF8: { meaning: "Bytes are not well-formed UTF-8.", hint: "The file is damaged or of another kind." },
  BAD_DER: { meaning: "Bytes are not strict DER of the expected shape.", hint: "The structure is damaged, or encoded as BER." },
  BAD_JSON: {
    meaning: "Text is not JSON, or has duplicate keys, or a member has the wrong type.",
    hint: "Check that the file is the one you meant and is complete.",
  },
  BAD_NOTE: { meaning: "Text is not a C2SP signed note.", hint: "Fetch the checkpoint again, byte for byte." },
  BAD_PROTOBUF: {
    meaning: "Bytes are not a protobuf message of the expected shape.",
    hint: "The structure is damaged, or of another kind.",
  },
  BAD_PEM: { meaning: "Text is not a single PEM block of the expected kind.", hint: "Check the BEGIN and END lines." },
  BAD_TILE_PATH: {
    meaning: "Text is not the path of a tile.",
    hint: "Tiles are addressed as C2SP tlog-tiles says: no leading zeros, groups of three digits.",
  },
  TOO_LARGE: {
    meaning: "Input is larger, deeper or more numerous than allowed.",
    hint: "No honest input of this kind is that large.",
  },
  TRUNCATED: { meaning: "Input ends before the structure does.", hint: "The file is incomplete; fetch it again." },
  // merkle/
  PROOF_MISMATCH: {
    meaning: "A Merkle proof does not lead to the stated root, or has the wrong number of hashes.",
    hint: "The entry is not in that tree, or the proof belongs to another entry or size: get the bundle again, or sign again.",
  },
  // crypto/
  ALGORITHM_UNKNOWN: {
    meaning: "The algorithm is not in the registry, or this platform lacks it.",
    hint: "Use ECDSA P-256 with SHA-256.",
  },
  KEY_INVALID: {
    meaning: "The key cannot be parsed, is weak, or is of another type than stated.",
    hint: "Give a whole key in PEM, of one of the registry's algorithms; P-256 is understood everywhere.",
  },
  SIGNATURE_INVALID: {
    meaning: "The signature does not verify with this key over these bytes.",
    hint: "The content changed after signing, or another key signed: get artifact and bundle again, and check which key was meant.",
  },
  // x509/
  CERT_INVALID: {
    meaning: "The certificate is malformed, is not what its place asks for, or was not signed by its issuer.",
    hint: "Look at it with openssl x509 -text; take certificates from the authority's own answer.",
  },
  CERT_EXPIRED: {
    meaning: "A certificate of the path had expired at the proven time.",
    hint: "The signature was made after the certificate ended, or the trusted root is of another age.",
  },
  CERT_NOT_YET_VALID: {
    meaning: "A certificate of the path was not yet valid at the proven time.",
    hint: "Compare the clocks of signer, authority and timestamp authority.",
  },
  CHAIN_INVALID: {
    meaning: "No path of certificates leads to a trusted authority.",
    hint: "Check that the trusted root is of the installation that issued the certificate.",
  },
  IDENTITY_INVALID: {
    meaning: "The certificate does not name one identity and issuer in the forms that are read.",
    hint: "The authority that issued it does not follow Fulcio's profile.",
  },
  SCT_INVALID: {
    meaning: "A signed certificate timestamp is malformed, or a known log did not sign it for this certificate.",
    hint: "The certificate was changed, or the trusted root has another key for that log: renew the trusted root, or sign again.",
  },
  SCT_UNKNOWN_LOG: {
    meaning: "A signed certificate timestamp names a log that is not in the trusted root.",
    hint: "Renew the trusted root, or check that it is of the right installation.",
  },
  TIMESTAMP_INVALID: {
    meaning: "The timestamp is malformed, was refused, or was not signed as RFC 3161 asks by a trusted authority.",
    hint: "Check that the trusted root is of the installation that signed, and current; if it is, the seal is bad: sign again.",
  },
  TIMESTAMP_MISMATCH: {
    meaning: "The timestamp is good, but for other bytes.",
    hint: "The signature was changed after it was dated, or the timestamp belongs to another one: fetch the bundle again.",
  },
  REQUEST_INVALID: {
    meaning: "A certificate request or timestamp request is malformed or asks for something that is not offered.",
    hint: "Send a PKCS#10 request signed with its own key, or an RFC 3161 request over SHA-256.",
  },
  // bundle/
  BUNDLE_VERSION: {
    meaning: "The bundle's media type is not one that is supported.",
    hint: "Versions 0.1 to 0.3 are read; a newer bundle needs a newer lacre.",
  },
  BUNDLE_SHAPE: {
    meaning: "The bundle lacks a part, has one too many, or has one that its version does not allow.",
    hint: "Let the signing client write the bundle again; do not merge or edit bundles.",
  },
  BUNDLE_NO_PROMISE: {
    meaning: "A log entry of a version 0.1 bundle has no inclusion promise.",
    hint: "Version 0.1 asks for the log's signed entry timestamp; sign again with a current client.",
  },
  BUNDLE_NO_PROOF: {
    meaning: "A log entry has no inclusion proof with a checkpoint.",
    hint: "Versions 0.2 and later ask for one; sign again, or fetch the entry with its proof from the log.",
  },
  STATEMENT_INVALID: {
    meaning: "The payload is not an in-toto statement of version 0.1 or 1 with a subject.",
    hint: "The envelope holds something else; look at its payload.",
  },
  CHECKPOINT_INVALID: {
    meaning: "The note's text is not a checkpoint: origin, size, root.",
    hint: "Fetch the checkpoint again, byte for byte.",
  },
  CHECKPOINT_UNSIGNED: {
    meaning: "No signature line of the checkpoint is by the log's name and key.",
    hint: "The checkpoint is of another log, or the trusted root has another key for it.",
  },
  // entry/
  ENTRY_UNSUPPORTED: {
    meaning: "A log entry is of a kind or version that is not known, or that does not record the signature.",
    hint: "Known are hashedrekord, dsse and intoto; sign again with a current client.",
  },
  ENTRY_INVALID: {
    meaning: "The body of a log entry is not what its kind prescribes, or is of another kind than stated.",
    hint: "Fetch the entry again; a log does not store such bodies.",
  },
  ENTRY_MISMATCH: {
    meaning: "The log entry is of another signature, artifact, certificate or key.",
    hint: "The bundle was put together from parts that do not belong together: get it again from whoever sealed, and do not use it.",
  },
  ENTRY_REQUEST_INVALID: {
    meaning: "A request to log an entry is not of a known type, or contradicts itself.",
    hint: "Send one hashedRekordRequestV002 or dsseRequestV002 whose digest, signature and key belong together.",
  },
  // git/
  GIT_UNSIGNED: {
    meaning: "The commit or tag has no signature of this kind.",
    hint: "Sign with gitsign (git config gpg.format x509, gpg.x509.program gitsign); PGP and SSH signatures are not read.",
  },
  GIT_OBJECT_INVALID: {
    meaning: "Bytes are not a commit or tag as Git writes them, or carry more than one signature.",
    hint: "Look at it with git cat-file -p; an object that Git itself refuses must not be trusted.",
  },
  GIT_SIGNATURE_INVALID: {
    meaning: "The signature of a commit or tag is not CMS as gitsign writes it.",
    hint: "Sign the commit again with a current gitsign.",
  },
  GIT_SIGNATURE_MISMATCH: {
    meaning: "The signature is of another commit or tag.",
    hint: "The object was changed after signing. Do not use it.",
  },
  GIT_ENTRY_MISSING: {
    meaning: "The signature does not carry its log entry, and the ledger has none of it.",
    hint: "Give the ledger that gitsign signed with by --rekor-url, or let the signer set gitsign.rekorMode to offline.",
  },
  // trust/
  TRUSTED_ROOT_INVALID: {
    meaning: "The trusted root breaks a rule: its version, a key, a log's id, a chain or a window.",
    hint: "Fetch the trusted root of the installation again; do not edit it.",
  },
  SIGNING_CONFIG_INVALID: {
    meaning: "The signing config is of another version, or lacks something it must say.",
    hint: "Fetch the signing config of the installation again; version 0.2 is read.",
  },
  WITNESS_POLICY_INVALID: {
    meaning: "A policy file of logs and witnesses breaks a rule of its format.",
    hint: "Look at the line that is named; C2SP tlog-policy has the format.",
  },
  QUORUM_MISSING: {
    meaning: "Fewer witnesses have cosigned a checkpoint than the policy asks for.",
    hint: "Fetch the checkpoint again; if it stays so, ask the log's operator which witnesses answer.",
  },
  SERVICE_MISSING: {
    meaning: "The signing config asks for more services than it lists for now.",
    hint: "Renew the signing config, or ask the installation's operator.",
  },
  // client/
  SERVICE_REFUSED: {
    meaning: "A service answered with a definite no.",
    hint: "Its message says why; for the certificate authority it is mostly the token: get a fresh one.",
  },
  SERVICE_UNREACHABLE: {
    meaning: "A service gave no answer, or only passing failures.",
    hint: "Check the address and the network, then run the same command again: repeating is safe.",
  },
  SERVICE_ANSWER_INVALID: {
    meaning: "A service's answer is not what its API promises.",
    hint: "Check that the address in the signing config is that service's.",
  },
  // oci/
  REFERENCE_INVALID: {
    meaning: "Text is not an image reference.",
    hint: "Write it as registry/repository:tag or registry/repository@sha256:DIGEST.",
  },
  MANIFEST_INVALID: {
    meaning: "A document of a registry is not a manifest or an index that is known.",
    hint: "Push the image again with a current tool; Docker's schema 1 is not read.",
  },
  CONTENT_MISMATCH: {
    meaning: "Content is not that of its digest and size.",
    hint: "The registry, something on the way to it, or the file has other content than was asked for. Do not use it.",
  },
  CLAIMS_INVALID: {
    meaning: "A signed statement is not about an image in a form that is read.",
    hint: "Look at the document with lacre download signature.",
  },
  CLAIMS_MISMATCH: {
    meaning: "A good signature is about another image, or has not the annotations that are required.",
    hint: "Compare the digests; annotations are those that were given with -a when the image was signed.",
  },
  REGISTRY_NOT_FOUND: {
    meaning: "The registry has no such image, tag or content.",
    hint: "Check the name and the tag; some registries answer so to those who may not read.",
  },
  REGISTRY_DENIED: {
    meaning: "The registry wants other credentials, or more rights.",
    hint: "Sign in with docker login, podman login or lacre login, or give --registry-username and --registry-password.",
  },
  REGISTRY_REFUSED: { meaning: "The registry answered with a definite no.", hint: "Its message says why." },
  REGISTRY_UNAVAILABLE: {
    meaning: "The registry could not be asked, or asks to wait. Nothing is known about the image.",
    hint: "Nothing was found out: wait a little and run it again. Against throttling it helps to sign in: lacre login.",
  },
  REGISTRY_ANSWER_INVALID: {
    meaning: "A registry's answer is not what its API promises.",
    hint: "Check that the address is a registry's.",
  },
  // services/gate: policies and their decisions
  POLICY_INVALID: {
    meaning: "A policy file breaks a rule of its format.",
    hint: "The message names the place; docs/formats/policy.md has the format, and lacre policy check FILE reads it.",
  },
  CONDITION_INVALID: {
    meaning: "A condition is not CEL as conditions are written here.",
    hint: "The message names the place; docs/policy.md lists the names that a condition may use.",
  },
  RULE_MISSING: {
    meaning: "No rule of the policy is for this artifact, and what no rule is for is refused.",
    hint: "Add a rule whose artifacts have this kind and name, or judge under the name that the policy means.",
  },
  SIGNATURE_MISSING: {
    meaning: "The policy asks for a signature of the artifact, and none was verified.",
    hint: "Give all bundles of the artifact; the list of seals says why one was refused.",
  },
  SIGNERS_MISSING: {
    meaning: "Fewer of the signers that the policy names have signed than it asks for.",
    hint: "Have the missing ones sign, or correct the policy's signers; the same signer counts once.",
  },
  ATTESTATION_MISSING: {
    meaning: "The policy asks for a statement about the artifact that is not there.",
    hint: "Give the bundle of that statement; its predicate type is compared exactly.",
  },
  CONDITION_FALSE: {
    meaning: "A condition on the signature or statement is false.",
    hint: "The names in the condition are shown with their values; the artifact is not what the policy wants, or the condition is wrong.",
  },
  CONDITION_FAILED: {
    meaning: "A condition has no value: a field is missing, types do not fit, or it costs too much.",
    hint: "Ask for fields that may be missing with has(…); compare values of one type.",
  },
  SEAL_AGE: {
    meaning: "The signature is not from the time that the policy asks for, or no time of it was proved.",
    hint: "Sign again, or change the rule's age; the time is the earliest proved one.",
  },
  REVOKED: {
    meaning: "The policy or the trust pack revokes this artifact, signer, key, certificate or log entry.",
    hint: "Use another release; whoever wrote the revocation may say why.",
  },
  // verify/
  POLICY_MISSING: {
    meaning: "The policy does not say who may sign.",
    hint: "Name an identity and its issuer, or give a key; that anybody may sign has to be said explicitly.",
  },
  POLICY_MISMATCH: {
    meaning: "The bundle is signed with a key where a certificate is expected, or the other way round.",
    hint: "Verify bundles with certificates by identity and issuer, bundles with key hints by their key.",
  },
  ROOT_MISSING: {
    meaning: "The bundle cannot be judged without a trusted root, and none was given.",
    hint: "Give the trusted root of the installation that signed.",
  },
  KEY_HINT_UNKNOWN: {
    meaning: "The bundle asks for a key that is not among those given.",
    hint: "Give the key that the hint names.",
  },
  ARTIFACT_MISSING: {
    meaning: "No artifact was given to compare with.",
    hint: "Give the file or its digest; a statement alone can be verified by switching the claims check off.",
  },
  ARTIFACT_DIGEST_MISSING: {
    meaning: "The artifact is known by a digest of another algorithm than is needed.",
    hint: "Give the artifact itself, or its digest by the algorithm named.",
  },
  ARTIFACT_MISMATCH: {
    meaning: "The artifact is not the one that was signed.",
    hint: "It was changed after signing, or the bundle belongs to another file: compare the digests, and fetch both again.",
  },
  PAYLOAD_TYPE_MISMATCH: {
    meaning: "The envelope's payload is of a type that is not accepted.",
    hint: "Accept the type explicitly if it is the one you expect.",
  },
  PREDICATE_MISMATCH: {
    meaning: "The statement is of another predicate type than required.",
    hint: "Another attestation of the same artifact may be of the right type.",
  },
  OUTSIDE_WINDOW: {
    meaning: "A key or authority was used outside the time for which the trusted root lists it.",
    hint: "Renew the trusted root; if it is current, the key had been retired when this was signed.",
  },
  TIME_MISSING: {
    meaning: "Fewer independent times were proved than are required.",
    hint: "Sign with a timestamp authority, or with a log that promises a time.",
  },
  VERDICT_INVALID: {
    meaning: "The document is no verdict of a version that is known.",
    hint: "Save a verdict with --output json; one of a newer lacre needs a newer lacre.",
  },
  TIME_IN_FUTURE: {
    meaning: "A proved time lies in the future.",
    hint: "Check the clock of this machine; if it is right, the clock of a service was wrong, and the seal proves no time.",
  },
  LOG_UNKNOWN: {
    meaning: "The log is not in the trusted root.",
    hint: "Renew the trusted root, or check that it is of the installation that signed.",
  },
  LOG_ENTRY_MISSING: {
    meaning: "Fewer independent log entries were proved than are required.",
    hint: "Sign again to a log; if it was logged, that log is not in the trusted root: renew the root.",
  },
  LOG_INDEX_MISMATCH: { meaning: "The entry states another index than its proof.", hint: "Fetch the entry again from the log." },
  PROMISE_INVALID: {
    meaning: "The log did not sign this promise for this entry.",
    hint: "The entry was changed, or belongs to another log: get the bundle again; if it stays so, renew the trusted root.",
  },
  CHECKPOINT_MISMATCH: {
    meaning: "Checkpoint and inclusion proof speak of different trees.",
    hint: "Fetch the entry again from the log, with a proof for its newest checkpoint.",
  },
  SCT_MISSING: {
    meaning: "No known certificate log has promised to publish the certificate.",
    hint: "Check that the trusted root has the certificate log of the authority.",
  },
  IDENTITY_MISMATCH: {
    meaning: "The signer is not one of those accepted.",
    hint: "Compare the identity found with the one you meant, whole texts; ask for the one found only if you know and trust it.",
  },
  CLAIM_MISMATCH: {
    meaning: "The certificate lacks a required claim, or carries another value.",
    hint: "Compare the claim found with the one required; absent means that the issuer did not state it.",
  },
  ALGORITHM_REFUSED: {
    meaning: "The pairing of key and hash is outdated and not accepted.",
    hint: "Old clients signed so with P-384 and P-521 keys; accept it explicitly if you must, or sign again.",
  },
  STEP_MISSING: {
    meaning: "A required step of verification left no record.",
    hint: "This is a fault of lacre; please report it with the bundle.",
  },
  INTERNAL: { meaning: "Something went wrong inside lacre.", hint: "This is a fault of lacre; please report it with the input." },
  // log/
  LOG_INCOMPLETE: {
    meaning: "A log lacks a file that its checkpoint promises.",
    hint: "Try again; if it stays so, the log's operator has lost data or hides it.",
  },
  // search/
  SEARCH_KEY_INVALID: {
    meaning: "A search key is of no known kind, or has a value that no entry can have.",
    hint: "Keys are kind:value, such as email:you@example.com, digest:sha256:<hex> or under:https://github.com/org/repo.",
  },
  SEARCH_ROOT_INVALID: {
    meaning: "The root of a search index does not hold together, or is another log's.",
    hint: "Fetch it again; if it stays so, tell the log's operator: an index is made again from the entries.",
  },
  SEARCH_INDEX_DAMAGED: {
    meaning: "A part of a search index is missing or is not what its signed root says.",
    hint: "Try again; if it stays so, tell the log's operator: an index is made again from the entries.",
  },
  // sign/
  TOKEN_INVALID: {
    meaning: "The identity token is malformed, expired, or has no usable subject.",
    hint: "Get a fresh token; it must be a JWT with audience sigstore.",
  },
  SELF_CHECK_FAILED: {
    meaning: "A seal was made and does not verify against the trusted root.",
    hint: "The signing config and the trusted root must belong to one installation; fetch both again.",
  },
  CREDENTIAL_INVALID: {
    meaning: "The certificate is not for our key, not for this time, or not from the trusted root's authority.",
    hint: "The signing config and the trusted root must belong to one installation.",
  },
} as const;

/** The stable identifier of a failure. */
export type LacreCode = keyof typeof CODES;

/** What a failing check wanted and what it met, in plain words or short encodings; never a secret. */
export interface Detail {
  readonly expected?: string;
  readonly found?: string;
  /** Number of the broken rule in the catalogue of `verify/verdict.ts`, where one code stands for several rules. */
  readonly rule?: string;
  readonly cause?: unknown;
}

/** A refusal by the library: a stable `code`, one sentence, and where useful what was expected and found. */
export class LacreError extends Error {
  override readonly name = "LacreError";
  readonly code: LacreCode;
  readonly expected: string | undefined;
  readonly found: string | undefined;
  readonly rule: string | undefined;

  constructor(code: LacreCode, message: string, detail: Detail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.expected = detail.expected;
    this.found = detail.found;
    this.rule = detail.rule;
  }

  /** What usually helps. */
  get hint(): string {
    return CODES[this.code].hint;
  }
}
