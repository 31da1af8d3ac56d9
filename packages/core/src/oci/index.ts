// SPDX-License-Identifier: Apache-2.0
/** Images and registries: references, manifests, the registry client, and how signatures are stored beside images. */
export { attachmentTag, type Attachment } from "./attachment.ts";
export type { RegistryCredential } from "./authorization.ts";
export {
  checkImageClaims,
  readPayloadClaims,
  readStatementClaims,
  SIGNATURE_PREDICATE_TYPE,
  type ImageClaims,
} from "./claims.ts";
export { checkContent, gather, type Octets } from "./content.ts";
export { describe, type Descriptor, digestOf, encodeDescriptor, MEDIA, type Platform, splitDigest } from "./descriptor.ts";
export {
  artifactTypeOf,
  decodeManifest,
  encodeIndex,
  encodeManifest,
  type ImageIndex,
  isIndexType,
  isManifestType,
  type Manifest,
  MAX_MANIFEST_BYTES,
} from "./manifest.ts";
export {
  formatReference,
  formatRepository,
  isDigest,
  isTag,
  parseReference,
  parseRepository,
  type Reference,
  type Repository,
} from "./reference.ts";
export { listed, listReferrers, pushReferrer, pushReferrerBytes, removeReferrers } from "./referrers.ts";
export { type Content, createRegistry, type Fetched, type Registry } from "./registry.ts";
export {
  ANNOTATION,
  type AttachOptions,
  BUNDLE_ANNOTATION,
  BUNDLE_TYPE,
  encodeConfig,
  LAYER,
  listAttached,
  listBundles,
  MAX_ATTACHMENT_BYTES,
  MAX_SIGNATURES,
  type NewBundle,
  type NewLayer,
  pushAttached,
  pushBundle,
  type StoredBundle,
} from "./signatures.ts";
export { decodeSimpleSigning, encodeSimpleSigning, goJson, type SimpleSigning } from "./simple-signing.ts";
export { changeTag, readTag } from "./tag.ts";
export { nearnessOf, type RegistryOptions } from "./transport.ts";
