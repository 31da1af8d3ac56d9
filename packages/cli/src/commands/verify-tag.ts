// SPDX-License-Identifier: Apache-2.0
import { defineGitVerb } from "../git-verb.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb = defineGitVerb("tag", {
  brief: "Verify annotated tags that gitsign signed",
  operand: "The tags",
  example:
    "lacre verify-tag v1.2.3 --certificate-identity you@example.com --certificate-oidc-issuer https://accounts.example.com",
});
