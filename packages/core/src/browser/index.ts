// SPDX-License-Identifier: Apache-2.0
/**
 * The verifier for a page, published as one file that needs no bundler and asks nobody: `@lacre/core/browser`.
 *
 *     const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(root) });
 *     const artifact = await readArtifact(file, bundle);
 *     const verdict = verifier.verify({ bundle, artifact, policy, nowMs: Date.now() });
 */
export {
  type BundleContent,
  type BundleKey,
  type Bundle,
  decodeBundle,
  decodeStatement,
  type Statement,
  type Subject,
} from "../bundle/index.ts";
export { fromHex, toHex } from "../bytes/index.ts";
export { parsePem } from "../codec/index.ts";
export { createHasher, type Hasher, type HashName, importPublicKey, type PublicKey } from "../crypto/index.ts";
export { LacreError, type LacreCode } from "../errors.ts";
export { decodeTrustedRoot, type TrustedRoot } from "../trust/index.ts";
export {
  type Artifact,
  type Check,
  type CheckId,
  CHECKS,
  type CheckStatus,
  type ClaimRules,
  createVerifier,
  decidingCheck,
  type IdentityRule,
  type Matcher,
  type Pattern,
  type Policy,
  type Question,
  type RootSource,
  type Verdict,
  VERDICT_SCHEMA,
  type Verifier,
  type VerifierOptions,
} from "../verify/index.ts";
export {
  type ByteReader,
  type ByteStream,
  type FileLike,
  type FillingReader,
  hashStream,
  type Piece,
  readArtifact,
  type ReadOptions,
} from "./file.ts";
