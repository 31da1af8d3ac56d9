// SPDX-License-Identifier: Apache-2.0
/** A whole verification: any bytes give a verdict, refused under a check that is not about our own failure. */
import { LacreError } from "../packages/core/src/errors.ts";
import { decodeTrustedRoot } from "../packages/core/src/trust/index.ts";
import { createVerifier, decidingCheck } from "../packages/core/src/verify/index.ts";
import { ARTIFACT, bytesOf, createWorkshop, IDENTITY, ISSUER, NOW_MS, seal, type Recipe } from "../test/workshop/workshop.ts";

export const name = "verdict";

const workshop = createWorkshop();
const RECIPES: readonly Recipe[] = [
  {},
  { content: "dsse" },
  { dialect: "v2" },
  { dialect: "v2", content: "dsse" },
  { mediaType: "application/vnd.dev.sigstore.bundle+json;version=0.1" },
];
const sealed = RECIPES.map((recipe) => seal(workshop, recipe));
const verifier = createVerifier({ trustedRoot: decodeTrustedRoot(bytesOf(sealed[0]!.root)) });
const artifact = { digests: new Map(), message: ARTIFACT };
const policy = { identities: [{ identity: { exact: IDENTITY }, issuer: { exact: ISSUER } }] };

export const seeds: Uint8Array[] = sealed.map(({ bundle }) => bytesOf(bundle));

export function target(bytes: Uint8Array): void {
  const verdict = verifier.verify({ bundle: bytes, artifact, policy, nowMs: NOW_MS });
  if (verdict.outcome === "verified") {
    // Damage where nothing is proved (a digest that is only stated, say) may pass; then what is told is true.
    if (verdict.identity?.value !== IDENTITY || verdict.identity.issuer !== ISSUER)
      throw new Error("a damaged bundle told of another signer");
    return;
  }
  const check = decidingCheck(verdict);
  if (check?.code === undefined || check.id.startsWith("K"))
    throw new Error(`refused without a check: ${check?.id} ${check?.found}`);
  throw new LacreError(check.code, `${check.id}: ${check.message}`);
}
