// SPDX-License-Identifier: Apache-2.0
/**
 * The one error class of the command, its table of codes, and how any error becomes lines and an exit status.
 *
 * Exit statuses: 0 verified or done, 1 refused, 2 usage, 3 could not look (network, file, store). cosign's 10 to 13 are
 * used by the image commands alone. No error ever shows a stack trace; LACRE_DEBUG=1 adds one on stderr.
 */
import { LacreError, type LacreCode } from "@lacre/core/errors";

/**
 * 1: a definite no. 2: the command line is wrong. 3: nothing was found out. cosign's own, for images: 10: no signature,
 * 11: no such image, 12: no signature that fits, 13: no certificate to compare an identity with.
 */
export type ExitStatus = 0 | 1 | 2 | 3 | 10 | 11 | 12 | 13;

interface Row {
  readonly status: ExitStatus;
  readonly meaning: string;
  readonly hint: string;
}

/** What each code of the command means, its exit status, and the way out. */
export const CLI_CODES = {
  USAGE: { status: 2, meaning: "The command line is wrong.", hint: "See --help of the command." },
  UNSUPPORTED_FLAG: {
    status: 2,
    meaning: "A flag of cosign that cannot be honoured here.",
    hint: "Use what the message names instead.",
  },
  AMBIGUOUS_ARTIFACT: {
    status: 2,
    meaning: "The artifact may be a file or an image.",
    hint: "Write ./NAME or file:NAME for a file, oci://NAME for an image.",
  },
  POLICY_MISSING: {
    status: 2,
    meaning: "A verification without a policy was asked for.",
    hint: "Say who must have signed: --certificate-identity and --certificate-oidc-issuer, or --key.",
  },
  CONFIRMATION_MISSING: { status: 2, meaning: "Signing would publish data for ever and nobody agreed.", hint: "Add --yes." },
  FILE_UNREADABLE: { status: 3, meaning: "A file could not be read.", hint: "Check the path and its permissions." },
  SEAL_MISSING: {
    status: 3,
    meaning: "There is no bundle for the artifact: it may never have been sealed, or the bundle lies elsewhere.",
    hint: "Give it with --bundle FILE; whoever publishes the artifact has it.",
  },
  GIT_UNREADABLE: {
    status: 3,
    meaning: "Git could not be asked, or knows no such commit or tag.",
    hint: "Run it in the repository; git rev-parse says what a name stands for. A tag must be annotated to be signed.",
  },
  FILE_UNWRITABLE: {
    status: 3,
    meaning: "A file could not be written.",
    hint: "Check the path, its permissions and the free space.",
  },
  FILE_EXISTS: {
    status: 2,
    meaning: "A file is already there and would be lost.",
    hint: "Add --yes to replace it, or choose another name.",
  },
  PASSWORD_MISSING: {
    status: 3,
    meaning: "A key has a password, and none was given.",
    hint: "Set COSIGN_PASSWORD, or run in a terminal to be asked.",
  },
  KEY_LOCKED: {
    status: 3,
    meaning: "A private key does not open with the password that was given.",
    hint: "Check COSIGN_PASSWORD; a password piped in is taken with its line end, as cosign takes it.",
  },
  KEY_UNREACHABLE: {
    status: 3,
    meaning: "A key service, a cluster or a token did not do what was asked.",
    hint: "The message has its own words.",
  },
  PACKAGE_MISSING: {
    status: 3,
    meaning: "A feature needs a package that is not installed with the command.",
    hint: "Install the package that the message names beside lacre.",
  },
  TRUST_MISSING: {
    status: 3,
    meaning: "There is no trusted root to check against.",
    hint: "Give --trusted-root FILE, or set LACRE_DIR, or run lacre initialize --mirror URL --root FILE.",
  },
  TRUST_CHANGED: {
    status: 3,
    meaning: "The remembered installation is not the one that was remembered.",
    hint: "If that is intended, run lacre up on it again, or lacre initialize.",
  },
  SERVICES_MISSING: {
    status: 3,
    meaning: "It is not known which services to sign with.",
    hint: "Give --signing-config FILE, or set LACRE_DIR, or run lacre initialize --mirror URL --root FILE.",
  },
  TOKEN_MISSING: {
    status: 3,
    meaning: "There is no identity token and no way to get one.",
    hint: "Give --identity-token, set SIGSTORE_ID_TOKEN, or run in a terminal to sign in.",
  },
  LOGIN_FAILED: {
    status: 3,
    meaning: "Signing in did not end with an identity token.",
    hint: "Try again; --fulcio-auth-flow device works without a browser here.",
  },
  LOGIN_REFUSED: {
    status: 1,
    meaning: "The identity provider's answer did not belong to this sign-in.",
    hint: "Do not use that browser window again; start over.",
  },
  CREDENTIALS_UNREADABLE: {
    status: 3,
    meaning: "Credentials for a registry are kept somewhere and could not be read.",
    hint: "Check Docker's config.json (DOCKER_CONFIG) and the credential helper that it names.",
  },
  OFFLINE: {
    status: 3,
    meaning: "The network is needed and --offline forbids it.",
    hint: "Do without --offline, or give the missing material as a file.",
  },
  IMAGE_UNSIGNED: {
    status: 10,
    meaning: "The image has no signature (or no attestation), and the place where they are kept was looked at.",
    hint: "Sign it with lacre sign IMAGE; signatures may lie in another repository (COSIGN_REPOSITORY).",
  },
  IMAGE_MISSING: { status: 11, meaning: "There is no such image.", hint: "Check the name and the tag." },
  IMAGE_UNMATCHED: {
    status: 12,
    meaning: "The image has signatures, and none of them is good, by who is asked for, and about what is asked for.",
    hint: "The reasons are listed, one for each signature.",
  },
  CERTIFICATE_MISSING: {
    status: 13,
    meaning: "An identity is asked for, and the image's signatures were made with keys, without certificates.",
    hint: "Verify with the public key: --key FILE.",
  },
  IMAGE_INCOMPLETE: {
    status: 1,
    meaning: "An image in a file cannot be held against its signatures, or lacks content.",
    hint: "Name the image in its registry with --reference, or save it as an OCI layout: lacre save IMAGE --dir DIR.",
  },
  PACK_REFUSED: {
    status: 1,
    meaning: "A trust pack is not what it should be, or not sealed by whom it should be.",
    hint: "Get the pack again from whoever issued it, and check --trust-pack-key.",
  },
  PACK_EXPIRED: {
    status: 1,
    meaning: "A trust pack may not be used any more.",
    hint: "Get a newer pack from whoever issued it; if this machine's clock is wrong, set it.",
  },
  MIRROR_REFUSED: {
    status: 1,
    meaning: "The TUF repository failed verification.",
    hint: "Check that --root is this repository's root file.",
  },
  MIRROR_UNREACHABLE: {
    status: 3,
    meaning: "The TUF repository could not be read.",
    hint: "Check the address and the network; with --offline the trust that is kept from last time is used.",
  },
  NOT_RUNNING: { status: 3, meaning: "The installation's services do not answer.", hint: "Start them: lacre up." },
  START_FAILED: { status: 3, meaning: "The services could not start.", hint: "The message says what stands in the way." },
  PRODUCTION: {
    status: 1,
    meaning: "This is for development installations only.",
    hint: "Use a token of your identity provider.",
  },
  PROGRAM_MISSING: {
    status: 3,
    meaning: "A policy in Rego or CUE needs a program that is not on the path.",
    hint: "Install opa or cue, or write the condition in CEL: --condition.",
  },
  PROGRAM_FAILED: {
    status: 3,
    meaning: "The program that runs a policy gave no answer.",
    hint: "The message has its words; run it by hand: opa eval --v0-compatible, cue vet.",
  },
  NOT_IMPLEMENTED: { status: 2, meaning: "This form is known and not built yet.", hint: "The message names what works today." },
  INTERNAL: {
    status: 3,
    meaning: "Something went wrong inside; nothing was verified.",
    hint: "Run again with LACRE_DEBUG=1 and report what it prints.",
  },
} as const satisfies Readonly<Record<string, Row>>;

/** The stable identifier of a failure of the command. */
export type CliCode = keyof typeof CLI_CODES;

/** A failure that the command explains: a code, one sentence, and where useful a hint better than the table's. */
export class CliError extends Error {
  override readonly name = "CliError";
  readonly code: CliCode;
  readonly hint: string;

  constructor(code: CliCode, message: string, detail: { readonly hint?: string; readonly cause?: unknown } = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.code = code;
    this.hint = detail.hint ?? CLI_CODES[code].hint;
  }

  get status(): ExitStatus {
    return CLI_CODES[this.code].status;
  }
}

/** What the caller wrote and nothing can be judged by: no artifact is refused by it. */
const UNUSABLE = new Set<LacreCode>(["POLICY_INVALID", "CONDITION_INVALID"]);

/** Library codes that mean "could not look" rather than "no". */
const COULD_NOT_LOOK = new Set<LacreCode>([
  "SERVICE_UNREACHABLE",
  "SERVICE_ANSWER_INVALID",
  "REGISTRY_NOT_FOUND",
  "REGISTRY_DENIED",
  "REGISTRY_UNAVAILABLE",
  "REGISTRY_ANSWER_INVALID",
]);

/** What a person and a program are told of any failure. */
export interface Report {
  readonly status: ExitStatus;
  readonly code: string;
  readonly message: string;
  readonly expected?: string;
  readonly found?: string;
  readonly hint: string;
}

/** Turns whatever was thrown into a report. Unknown errors are INTERNAL: never a success, never a refusal. */
export function reportOf(error: unknown): Report {
  if (error instanceof CliError) return { status: error.status, code: error.code, message: error.message, hint: error.hint };
  if (isLacreError(error)) {
    return {
      status: COULD_NOT_LOOK.has(error.code) ? 3 : UNUSABLE.has(error.code) ? 2 : 1,
      code: error.code,
      message: error.message,
      ...(error.expected === undefined ? {} : { expected: error.expected }),
      ...(error.found === undefined ? {} : { found: error.found }),
      hint: error.hint,
    };
  }
  if (isServiceError(error)) {
    const found = error.detail === undefined ? {} : { found: error.detail };
    return {
      status: error.code === "CONFIG_INVALID" ? 2 : 3,
      code: error.code,
      message: error.message,
      ...found,
      hint: error.hint,
    };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { status: 3, code: "INTERNAL", message: message.split("\n")[0]!.slice(0, 300), hint: CLI_CODES.INTERNAL.hint };
}

/** Also of another copy of the library: the services, installed as a package, bring their own. */
function isLacreError(error: unknown): error is LacreError {
  return error instanceof LacreError || (error instanceof Error && error.name === "LacreError" && "code" in error);
}

/** Known by its shape: only the verbs that serve load the services. */
function isServiceError(
  error: unknown,
): error is Error & { readonly code: string; readonly detail?: string; readonly hint: string } {
  return error instanceof Error && error.name === "ServiceError" && typeof (error as { hint?: unknown }).hint === "string";
}

/** The words for a failed system call on a file. */
export function fileError(code: "FILE_UNREADABLE" | "FILE_UNWRITABLE", path: string, cause: unknown): CliError {
  const reason: Readonly<Record<string, string>> = {
    ENOENT: code === "FILE_UNREADABLE" ? "there is no such file" : "its folder does not exist",
    EACCES: "permission denied",
    EPERM: "permission denied",
    EISDIR: "it is a folder",
    ENOSPC: "the disk is full",
    EROFS: "the file system is read-only",
  };
  const system = (cause as { code?: string }).code ?? "";
  const verb = code === "FILE_UNREADABLE" ? "read" : "write";
  return new CliError(code, `cannot ${verb} ${path}: ${reason[system] ?? (system || (cause as Error).message)}`, { cause });
}
