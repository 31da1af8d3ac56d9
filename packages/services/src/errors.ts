// SPDX-License-Identifier: Apache-2.0
/**
 * The one error class of the services, and its table of codes.
 *
 * A service throws a code; `edge/` alone turns it into a status and a body, in the shape of the API that was called. The
 * `message` of a row (or the one given) is what the client reads: it never carries input, tokens or internals. What an
 * operator needs beside it goes into `detail`, which is logged and never sent. `docs/errors.md` lists these rows.
 */

/** gRPC status codes as the gateway-style bodies carry them (google.rpc.Code). */
export const GRPC = {
  cancelled: 1,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  alreadyExists: 6,
  permissionDenied: 7,
  resourceExhausted: 8,
  failedPrecondition: 9,
  aborted: 10,
  outOfRange: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  dataLoss: 15,
  unauthenticated: 16,
} as const;

/** One row of the table. */
export interface Row {
  /** HTTP status. */
  readonly status: number;
  /** gRPC status, for gateway-style bodies. */
  readonly grpc: number;
  /** What the client reads unless the thrower says better. Where an official client shows it, the words of the original. */
  readonly message: string;
  /** What it means, for the table of errors. */
  readonly meaning: string;
  readonly hint: string;
}

function row(status: number, grpc: number, message: string, meaning: string, hint: string): Row {
  return { status, grpc, message, meaning, hint };
}

/** The stable identifier of a failure: the rows of the table, by name. */
export type ServiceCode =
  | "BAD_REQUEST"
  | "BODY_TOO_LARGE"
  | "MEDIA_TYPE_UNSUPPORTED"
  | "NOT_FOUND"
  | "METHOD_NOT_ALLOWED"
  | "OVERLOADED"
  | "RATE_LIMITED"
  | "INTERNAL"
  | "TOKEN_MISSING"
  | "TOKEN_INVALID"
  | "TOKEN_EXPIRED"
  | "TOKEN_AUDIENCE"
  | "TOKEN_CLAIMS"
  | "ISSUER_UNKNOWN"
  | "ISSUER_UNREACHABLE"
  | "KEY_UNREADABLE"
  | "KEY_WEAK"
  | "CSR_UNREADABLE"
  | "PROOF_WRONG"
  | "ALGORITHM_NOT_PERMITTED"
  | "CT_FAILED"
  | "CA_FAILED"
  | "EMAIL_INVALID"
  | "CHAIN_REFUSED"
  | "LOG_BUSY"
  | "LOG_STOPPED"
  | "LOG_FULL"
  | "LOG_DAMAGED"
  | "LOG_FORKED"
  | "LOG_UNANCHORED"
  | "ENTRY_TOO_LARGE"
  | "STORE_CONFLICT"
  | "STORE_FAILED"
  | "ENTRY_REFUSED"
  | "CHECKPOINT_UNTRUSTED"
  | "CHECKPOINT_INCONSISTENT"
  | "LOG_UNWITNESSED"
  | "REQUEST_UNPROCESSABLE"
  | "NOT_ACCEPTABLE"
  | "ENTRY_EXISTS"
  | "CONFIG_INVALID"
  | "DIRECTORY_DAMAGED"
  | "DIRECTORY_FOREIGN"
  | "DIRECTORY_LOCKED"
  | "DIRECTORY_OWNER"
  | "DIRECTORY_UNWRITABLE"
  | "DISK_FULL"
  | "SEARCH_TOO_BROAD"
  | "ADDRESS_TAKEN"
  | "ADDRESS_UNUSABLE";

/** What each code means, how it is answered, and the way out. */
export const SERVICE_CODES: Readonly<Record<ServiceCode, Row>> = {
  // edge/: every service
  BAD_REQUEST: row(
    400,
    GRPC.invalidArgument,
    "The request could not be understood",
    "The request body or a parameter has the wrong shape.",
    "Compare the request with the API's description.",
  ),
  BODY_TOO_LARGE: row(
    413,
    GRPC.invalidArgument,
    "The request is too large",
    "The body is longer than this endpoint reads.",
    "No honest request of this kind is that large.",
  ),
  MEDIA_TYPE_UNSUPPORTED: row(
    415,
    GRPC.invalidArgument,
    "The media type is not supported",
    "The Content-Type is not one that this endpoint reads.",
    "Send the media type that the API names.",
  ),
  NOT_FOUND: row(
    404,
    GRPC.notFound,
    "Not Found",
    "Nothing is at this address.",
    "Check the path, and that the service runs here.",
  ),
  METHOD_NOT_ALLOWED: row(
    405,
    GRPC.unimplemented,
    "Method Not Allowed",
    "The path exists, for another method.",
    "The Allow header lists the methods.",
  ),
  OVERLOADED: row(
    503,
    GRPC.unavailable,
    "The service is busy; try again",
    "More work is waiting than can be done soon.",
    "Wait as long as Retry-After says.",
  ),
  RATE_LIMITED: row(
    429,
    GRPC.resourceExhausted,
    "Too many requests; try again later",
    "More writes came from one address than it is allowed in a minute.",
    "Wait as long as Retry-After says; an operator sets the limit with edge.writesPerMinute.",
  ),
  INTERNAL: row(
    500,
    GRPC.internal,
    "Internal error",
    "A failure of the service itself.",
    "The operator finds the request id in the log.",
  ),
  // ca/
  TOKEN_MISSING: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The request carries no identity token.",
    "Send it in credentials.oidcIdentityToken or as a Bearer token.",
  ),
  TOKEN_INVALID: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The token is no well-formed, correctly signed JWT.",
    "Fetch a new token from the issuer.",
  ),
  TOKEN_EXPIRED: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The token is expired, or not valid yet.",
    "Fetch a new token; check the clocks of both machines.",
  ),
  TOKEN_AUDIENCE: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The token was made for another audience.",
    "Ask the issuer for the audience in /api/v2/configuration (usually sigstore).",
  ),
  TOKEN_CLAIMS: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "A claim that this issuer's type needs is missing or unusable.",
    "An e-mail address must be verified by the issuer.",
  ),
  ISSUER_UNKNOWN: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The token's issuer is not configured here.",
    "Add the issuer to the authority's configuration.",
  ),
  ISSUER_UNREACHABLE: row(
    400,
    GRPC.invalidArgument,
    "There was an error processing the identity token",
    "The issuer's discovery document or keys cannot be read.",
    "Check that the authority reaches the issuer, and its ca-cert.",
  ),
  KEY_UNREADABLE: row(
    400,
    GRPC.invalidArgument,
    "The public key supplied in the request could not be parsed",
    "The public key is missing or cannot be parsed.",
    "Send a PEM SubjectPublicKeyInfo.",
  ),
  KEY_WEAK: row(
    400,
    GRPC.invalidArgument,
    "The public key supplied in the request is insecure",
    "The key is of a kind or size that is not accepted.",
    "Use a P-256 key.",
  ),
  CSR_UNREADABLE: row(
    400,
    GRPC.invalidArgument,
    "The certificate signing request could not be parsed",
    "The signing request is not a PEM PKCS#10 request.",
    "Send base64 of a PEM CERTIFICATE REQUEST.",
  ),
  PROOF_WRONG: row(
    400,
    GRPC.invalidArgument,
    "The signature supplied in the request could not be verified",
    "The requester did not prove possession of the key.",
    "Sign the challenge (e-mail or sub of the token) with the key.",
  ),
  ALGORITHM_NOT_PERMITTED: row(
    400,
    GRPC.invalidArgument,
    "signing algorithm not permitted",
    "This pair of key and hash is not permitted here.",
    "Use ECDSA P-256 with SHA-256.",
  ),
  CT_FAILED: row(
    500,
    GRPC.internal,
    "Error entering certificate in CTL",
    "The CT log did not answer with a signed certificate timestamp.",
    "Look at the CT log; no certificate was given out.",
  ),
  CA_FAILED: row(
    500,
    GRPC.internal,
    "error communicating with CA backend",
    "The authority's key could not sign.",
    "Look at the key store of the authority.",
  ),
  // idp/
  EMAIL_INVALID: row(
    400,
    GRPC.invalidArgument,
    "That is not an e-mail address",
    "The text is not a plain ASCII e-mail address.",
    "Write it like you@example.com.",
  ),
  // ct/
  CHAIN_REFUSED: row(
    400,
    GRPC.invalidArgument,
    "The chain is not accepted",
    "The submitted chain is malformed or does not lead to an accepted root.",
    "Submit the leaf first and each issuer after it.",
  ),
  // store/ and engine/
  LOG_BUSY: row(
    503,
    GRPC.unavailable,
    "reached max pushback; retry",
    "More entries wait to be written than can be soon.",
    "Wait as long as Retry-After says; repeating is safe.",
  ),
  LOG_STOPPED: row(
    503,
    GRPC.unavailable,
    "The log takes no entries",
    "The log was closed, or stopped because a write could not be made durable.",
    "Look at the operator's log; start the process again once the disk is sound.",
  ),
  LOG_FULL: row(
    503,
    GRPC.unavailable,
    "The log cannot store more entries now",
    "No space is left on the log's disk. What was acknowledged is kept; new entries are refused.",
    "Free some space; the log goes on by itself.",
  ),
  LOG_DAMAGED: row(
    500,
    GRPC.dataLoss,
    "The log's files are damaged",
    "Files of a log contradict one another; it refuses to write rather than to guess.",
    "Keep the directory as it is, run `npm run fsck -- DIR`, restore the named file.",
  ),
  LOG_FORKED: row(
    500,
    GRPC.dataLoss,
    "The log's directory is older than what was published",
    "A checkpoint beyond these files, or one that contradicts them, was published before: restored from a backup?",
    "Restore the newest copy. To go on from here for good, and be seen to: `lacre up --accept SIZE:ROOT`.",
  ),
  LOG_UNANCHORED: row(
    500,
    GRPC.failedPrecondition,
    "Nothing outside the directory knows this log",
    "The log was moved, copied or restored, and no record of its last checkpoint is found.",
    "If this is the newest copy and the only one: `lacre up --accept SIZE:ROOT`.",
  ),
  ENTRY_TOO_LARGE: row(
    400,
    GRPC.invalidArgument,
    "The entry is too large for this log",
    "A log entry is longer than an entry bundle can hold.",
    "Log a digest instead of the content.",
  ),
  STORE_CONFLICT: row(
    500,
    GRPC.aborted,
    "Another writer has committed",
    "Two writers met at one log; only one went on.",
    "Stop one of them; nothing was lost.",
  ),
  STORE_FAILED: row(
    500,
    GRPC.dataLoss,
    "A write could not be made durable",
    "The disk failed a write or a sync. The writer has stopped; what was acknowledged is kept.",
    "Check the disk, then start the process again: it reads back what is really there.",
  ),
  LOG_UNWITNESSED: row(
    503,
    GRPC.unavailable,
    "The log waits for its witnesses; try again",
    "Too few of the configured witnesses have cosigned the log's newest checkpoint, so nothing new is published.",
    "Wait as long as Retry-After says; repeating is safe. /healthz names the witnesses that do not answer, and why.",
  ),
  // witness/: C2SP tlog-witness
  CHECKPOINT_UNTRUSTED: row(
    403,
    GRPC.permissionDenied,
    "The checkpoint is not signed by a key of the log",
    "A witness was shown a checkpoint without a good signature by a key that it knows for the log.",
    "Compare the log's key with the one in the witness's configuration.",
  ),
  CHECKPOINT_INCONSISTENT: row(
    422,
    GRPC.failedPrecondition,
    "The checkpoint does not continue what was cosigned before",
    "A log signed a checkpoint that contradicts the one cosigned last, or could not prove that it continues it. What it signed is kept as evidence.",
    "If the log was restored from an old copy, it must not go on; otherwise look at the evidence in the witness's record.",
  ),
  // ledger/
  ENTRY_REFUSED: row(
    400,
    GRPC.invalidArgument,
    "invalid entry",
    "The entry has the wrong shape, or a signature in it does not verify.",
    "Compare the request with the API's description; the log names the check.",
  ),
  REQUEST_UNPROCESSABLE: row(
    422,
    GRPC.invalidArgument,
    "The request does not have the shape it must have",
    "A parameter or member of a v1 request is missing or has the wrong form.",
    "The message names the member; compare it with the API's description.",
  ),
  NOT_ACCEPTABLE: row(
    406,
    GRPC.invalidArgument,
    "The media types asked for are not offered",
    "The Accept header excludes everything that the endpoint answers with.",
    "Accept application/json.",
  ),
  ENTRY_EXISTS: row(
    409,
    GRPC.alreadyExists,
    "an equivalent entry already exists in the transparency log",
    "The same entry is in the log; in the v1 dialect that is a refusal.",
    "Take the entry that the Location header names.",
  ),
  // search/
  SEARCH_TOO_BROAD: row(
    400,
    GRPC.invalidArgument,
    "More entries match than one answer can hold",
    "A search without pages matches too many entries.",
    "Ask for something rarer, or page by page at /search.",
  ),
  // installation/ and serve.ts: for the person at the terminal; never sent to a client
  CONFIG_INVALID: row(
    500,
    GRPC.failedPrecondition,
    "The configuration is not valid",
    "A configuration file is no JSON, has an unknown key, or a value of the wrong kind.",
    "Correct the named field; `lacre up --check` reads the file without starting.",
  ),
  DIRECTORY_DAMAGED: row(
    500,
    GRPC.dataLoss,
    "The data directory is damaged",
    "A file that belongs to the installation is missing, unreadable or does not fit the others.",
    "Restore the named file from a backup; nothing was changed.",
  ),
  DIRECTORY_FOREIGN: row(
    500,
    GRPC.failedPrecondition,
    "This is not a lacre directory",
    "The directory holds other things, or an installation of a newer version.",
    "Name an empty directory or an existing installation with --dir or LACRE_DIR.",
  ),
  DIRECTORY_LOCKED: row(
    500,
    GRPC.failedPrecondition,
    "Another process uses this data directory",
    "Only one process may write a log; a second would fork it.",
    "Stop the other process, or use another --dir.",
  ),
  DIRECTORY_OWNER: row(
    500,
    GRPC.permissionDenied,
    "The data directory belongs to another user",
    "The files have another owner, or keys are readable by others.",
    "Run as the owner, or correct owner and mode (keys: 0600).",
  ),
  DIRECTORY_UNWRITABLE: row(
    500,
    GRPC.permissionDenied,
    "The data directory cannot be written",
    "Creating or writing a file in the directory failed.",
    "Check owner, mode, free space and that the file system is not read-only.",
  ),
  DISK_FULL: row(
    500,
    GRPC.resourceExhausted,
    "No space is left for the data directory",
    "The file system of the data directory is full; nothing that was acknowledged is lost.",
    "Free some space and start again.",
  ),
  ADDRESS_TAKEN: row(
    500,
    GRPC.failedPrecondition,
    "The address is already in use",
    "Another program listens on this port.",
    "`lsof -i :PORT` names it; or choose another with --listen.",
  ),
  ADDRESS_UNUSABLE: row(
    500,
    GRPC.failedPrecondition,
    "The address cannot be listened on",
    "The host is not of this machine, or the port needs more rights.",
    "Choose another address with --listen host:port.",
  ),
};

/** What goes with a refusal beside its message. */
export interface ServiceDetail {
  /** For the operator: logged, never sent. Must hold no token and no key. */
  readonly detail?: string;
  /** Response headers, `retry-after` or `location` say. */
  readonly headers?: Readonly<Record<string, string>>;
  /** `code` of the body where a dialect has numbers of its own (Rekor v1: 602 for a missing member). */
  readonly number?: number;
  readonly cause?: unknown;
}

/** A refusal by a service: a stable code and the one sentence that the client may read. */
export class ServiceError extends Error {
  override readonly name = "ServiceError";
  readonly code: ServiceCode;
  readonly detail: string | undefined;
  readonly headers: Readonly<Record<string, string>>;
  readonly number: number | undefined;

  /** `message` replaces the row's; it is sent, so it must not quote secrets. */
  constructor(code: ServiceCode, message?: string, more: ServiceDetail = {}) {
    super(message ?? SERVICE_CODES[code].message, more.cause === undefined ? undefined : { cause: more.cause });
    this.code = code;
    this.detail = more.detail;
    this.headers = more.headers ?? {};
    this.number = more.number;
  }

  /** HTTP status. */
  get status(): number {
    return SERVICE_CODES[this.code].status;
  }

  /** gRPC status. */
  get grpc(): number {
    return SERVICE_CODES[this.code].grpc;
  }

  /** What usually helps. */
  get hint(): string {
    return SERVICE_CODES[this.code].hint;
  }
}
