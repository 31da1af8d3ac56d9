// SPDX-License-Identifier: Apache-2.0
/** The flags of verbs that speak to registries: tables alone, so that a verb about files loads nothing of registries. */
import { choice, type FlagTable, type FlagValues, list, text, toggle } from "../verb.ts";

/** Flags of every verb that speaks to a registry. */
export const REGISTRY_FLAGS = {
  allowInsecureRegistry: toggle("Take any TLS certificate of the registry, and plain HTTP"),
  allowHttpRegistry: toggle("Speak plain HTTP with the registry where it has no TLS, and send credentials so"),
  registryUsername: text("User at the registry", { placeholder: "name" }),
  registryPassword: text("Password at the registry (better: lacre login)", { placeholder: "text" }),
  registryToken: text("Bearer token for the registry", { placeholder: "text" }),
  registryCacert: text("Authority of the registry's TLS certificate, PEM", { placeholder: "file" }),
  registryClientCert: text("TLS certificate to show to the registry, PEM", { placeholder: "file" }),
  registryClientKey: text("Key of --registry-client-cert, PEM", { placeholder: "file" }),
  registryServerName: text("Name in the registry's TLS certificate", { placeholder: "name" }),
  k8sKeychain: toggle("Credentials of the cloud that the cluster runs in", { hidden: true }),
} as const satisfies FlagTable;

/** Flags about where signatures are kept. */
export const STORAGE_FLAGS = {
  registryReferrersMode: choice(
    ["legacy", "oci-1-1"],
    "How signatures are attached: by tags of cosign 2, or as referrers (default)",
  ),
  attachmentTagPrefix: text("What tags of cosign 2 begin with", { placeholder: "text" }),
} as const satisfies FlagTable;

export type RegistryFlags = FlagValues<typeof REGISTRY_FLAGS>;

/** Flags of `sign` that are for images. */
export const IMAGE_FLAGS = {
  ...REGISTRY_FLAGS,
  ...STORAGE_FLAGS,
  annotations: list("Image: also state this, key=value; may be repeated", { alias: "a", placeholder: "key=value" }),
  recursive: toggle("Image: also sign every image of an index", { alias: "r" }),
  upload: toggle("Image: store the signature beside it (default true)"),
  newBundleFormat: toggle("Image: store a bundle; false: as cosign before 3 (default true)", { hidden: true }),
  payload: text("Image: sign this payload instead of one that is made (as cosign before 3)", { placeholder: "file" }),
  outputSignature: text("Image: also write the signature here", { placeholder: "file" }),
  outputPayload: text("Image: also write what was signed here", { placeholder: "file" }),
  outputCertificate: text("Image: also write the certificate here", { placeholder: "file" }),
  recordCreationTimestamp: toggle("Image: say when the signature was stored", { hidden: true }),
  signContainerIdentity: text("Image: the name that the payload gives it (as cosign before 3)", { hidden: true }),
} as const satisfies FlagTable;

export type ImageFlags = FlagValues<typeof IMAGE_FLAGS> & {
  readonly bundle?: string | undefined;
  readonly certificateChain?: string | undefined;
  readonly output?: string | undefined;
};

/** Flags of `attest`. */
export const ATTEST_FLAGS = {
  ...REGISTRY_FLAGS,
  ...STORAGE_FLAGS,
  predicate: text("What is said: a file; - for standard input", { placeholder: "file" }),
  statement: text("A ready-made in-toto statement about the image; - for standard input", { placeholder: "file" }),
  type: text("Type of the predicate: a short name or a URI (default custom)", { placeholder: "type" }),
  replace: toggle("Take away what was stated of this type before"),
  recursive: toggle("Also about every image of an index", { alias: "r", hidden: true }),
  noUpload: toggle("Do not store the attestation; print it"),
  bundle: text("Also write the attestation here", { placeholder: "file" }),
  newBundleFormat: toggle("Store a bundle; false: as cosign before 3 (default true)", { hidden: true }),
  recordCreationTimestamp: toggle("Say when the attestation was stored", { hidden: true }),
  rekorEntryType: choice(["dsse", "intoto"], "Kind of the ledger entry (default dsse)", { hidden: true }),
} as const satisfies FlagTable;

export type AttestFlags = FlagValues<typeof ATTEST_FLAGS> & {
  readonly certificateChain?: string | undefined;
  readonly output?: string | undefined;
};
