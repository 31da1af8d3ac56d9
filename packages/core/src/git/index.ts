// SPDX-License-Identifier: Apache-2.0
/** Signed commits and tags: from the octets of an object to bundles that the verifier takes. */
export { parseSignedObject, type SignedObject } from "./object.ts";
export { GIT_MEDIA_TYPE, gitBundle, openGitSignature, type GitSignature } from "./signature.ts";
