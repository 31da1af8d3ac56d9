// SPDX-License-Identifier: Apache-2.0
/** A TUF repository in memory that a test can sign wrongly on purpose. Written from the specification, without our client's code. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

export interface Signer {
  readonly id: string;
  readonly key: object;
  readonly sign: (message: Buffer) => string;
}

type Members = Record<string, unknown>;

const canonical = (value: unknown): string =>
  value !== null && typeof value === "object"
    ? Array.isArray(value)
      ? `[${value.map(canonical).join(",")}]`
      : `{${Object.keys(value)
          .sort()
          .map((name) => `${canonical(name)}:${canonical((value as Members)[name])}`)
          .join(",")}}`
    : typeof value === "string"
      ? `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`
      : String(value);

const hexId = (key: object): string => createHash("sha256").update(canonical(key)).digest("hex");

/** A fresh key of a kind. */
export function createSigner(scheme = "ed25519"): Signer {
  const pem = (key: KeyObject): string => key.export({ format: "pem", type: "spki" }) as string;
  if (scheme === "ed25519") {
    const { publicKey, privateKey } = generateKeyPairSync("ed25519");
    const key = {
      keytype: "ed25519",
      scheme,
      keyval: { public: publicKey.export({ format: "der", type: "spki" }).subarray(-32).toString("hex") },
    };
    return { id: hexId(key), key, sign: (message) => sign(null, message, privateKey).toString("hex") };
  }
  if (scheme.startsWith("ecdsa")) {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: scheme.endsWith("384") ? "P-384" : "P-256" });
    const key = { keytype: "ecdsa", scheme, keyval: { public: pem(publicKey) } };
    return {
      id: hexId(key),
      key,
      sign: (message) => sign(scheme.endsWith("384") ? "sha384" : "sha256", message, privateKey).toString("hex"),
    };
  }
  const { publicKey, privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const key = { keytype: "rsa", scheme, keyval: { public: pem(publicKey) } };
  const padding = scheme.startsWith("rsassa-pss") ? { padding: 6, saltLength: 32 } : {};
  return { id: hexId(key), key, sign: (message) => sign("sha256", message, { key: privateKey, ...padding }).toString("hex") };
}

const inDays = (days: number): string => new Date(Date.now() + days * 86_400_000).toISOString().replace(/\.\d+Z$/, "Z");

/** The files of a repository. Every member can be changed before `publish`. */
export class Repository {
  readonly signers: Record<string, Signer[]> = {};
  readonly signed: Record<string, Members> = {};
  /** What is served: metadata by name, targets by path. */
  readonly files = new Map<string, Buffer>();
  readonly targetFiles = new Map<string, Buffer>();
  withHashes = false;

  constructor(scheme?: string) {
    const base = (type: string): Members => ({ _type: type, spec_version: "1.0.31", version: 0, expires: inDays(30) });
    for (const role of ["root", "timestamp", "snapshot", "targets"]) this.signers[role] = [createSigner(scheme)];
    this.signed["root"] = { ...base("root"), consistent_snapshot: true, keys: {}, roles: {} };
    this.signed["targets"] = { ...base("targets"), targets: {} };
    this.signed["snapshot"] = { ...base("snapshot"), meta: {} };
    this.signed["timestamp"] = { ...base("timestamp"), meta: {} };
    this.listKeys();
    this.publishAll();
  }

  /** Writes the signers of the top-level roles into the root. */
  listKeys(): void {
    for (const role of ["root", "timestamp", "snapshot", "targets"]) {
      const signers = this.signers[role]!;
      for (const { id, key } of signers) this.root.keys[id] = key;
      this.root.roles[role] = { keyids: signers.map(({ id }) => id), threshold: this.root.roles[role]?.threshold ?? 1 };
    }
  }

  get root(): {
    keys: Record<string, object>;
    roles: Record<string, { keyids: string[]; threshold: number }>;
    version: number;
    expires: string;
    consistent_snapshot: boolean;
  } {
    return this.signed["root"] as never;
  }

  role(
    name: string,
  ): Members & { version: number; expires: string; targets: Members; meta: Record<string, Members>; delegations?: Members } {
    return this.signed[name] as never;
  }

  /** Signs one document as it stands and serves it. */
  publish(
    name: string,
    { bump = true, signers = this.signers[name]! }: { bump?: boolean; signers?: readonly Signer[] } = {},
  ): Buffer {
    const signed = this.role(name);
    if (bump) signed.version += 1;
    const message = Buffer.from(canonical(signed));
    const bytes = Buffer.from(
      JSON.stringify({ signed, signatures: signers.map((signer) => ({ keyid: signer.id, sig: signer.sign(message) })) }, null, 1),
    );
    const quoted = encodeURIComponent(name);
    if (name === "root" || (name !== "timestamp" && this.root.consistent_snapshot))
      this.files.set(`${signed.version}.${quoted}.json`, bytes);
    else this.files.set(`${quoted}.json`, bytes);
    const facts = {
      version: signed.version,
      ...(this.withHashes ? { length: bytes.length, hashes: { sha256: createHash("sha256").update(bytes).digest("hex") } } : {}),
    };
    if (name === "snapshot") this.role("timestamp").meta["snapshot.json"] = facts;
    else if (name !== "root" && name !== "timestamp") this.role("snapshot").meta[`${name}.json`] = facts;
    return bytes;
  }

  publishAll(): void {
    this.publish("root");
    this.publishTargets();
  }

  publishTargets(...roles: readonly string[]): void {
    for (const role of [...roles, "targets", "snapshot", "timestamp"]) this.publish(role);
  }

  addTarget(path: string, content: string, role = "targets"): void {
    const bytes = Buffer.from(content);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    this.role(role).targets[path] = { length: bytes.length, hashes: { sha256 } };
    const parts = path.split("/");
    parts.push(`${this.root.consistent_snapshot ? `${sha256}.` : ""}${parts.pop()!}`);
    this.targetFiles.set(parts.map((part) => encodeURIComponent(part)).join("/"), bytes);
  }

  /** Delegates from a role to a new one. */
  delegate(from: string, name: string, more: Members = {}): void {
    this.signers[name] ??= [createSigner()];
    this.signed[name] ??= { _type: "targets", spec_version: "1.0.31", version: 0, expires: inDays(30), targets: {} };
    const delegations = (this.role(from).delegations ??= { keys: {}, roles: [] }) as { keys: Members; roles: Members[] };
    const signers = this.signers[name]!;
    for (const { id, key } of signers) delegations.keys[id] = key;
    delegations.roles.push({
      name,
      keyids: signers.map(({ id }) => id),
      threshold: 1,
      terminating: false,
      paths: ["*"],
      ...more,
    });
  }
}
