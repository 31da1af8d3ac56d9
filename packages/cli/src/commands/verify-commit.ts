// SPDX-License-Identifier: Apache-2.0
import { defineGitVerb } from "../git-verb.ts";
import type { Verb } from "../verb.ts";

export const verb: Verb = defineGitVerb("commit", {
  brief: "Verify commits that gitsign signed",
  operand: "The commits, as Git names them (default HEAD)",
  example:
    "lacre verify-commit HEAD --certificate-identity you@example.com --certificate-oidc-issuer https://accounts.example.com",
});
