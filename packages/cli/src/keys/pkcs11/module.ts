// SPDX-License-Identifier: Apache-2.0
/**
 * A PKCS#11 module (OASIS PKCS#11 2.40): the few calls that signing needs, by way of its function list.
 *
 * The module is machine code of a stranger: it may crash, hang, or end the process with any status. So this file runs in a
 * process of its own (`host.ts`) and nowhere else. Structures are laid out here by hand for 64-bit Unix, where CK_ULONG and
 * pointers have eight octets and nothing is packed; on other platforms the module is not loaded.
 *
 * It imports nothing of lacre but types.
 */

/** The calls used, by their place in CK_FUNCTION_LIST (section 3.6), and what they take: u an unsigned long, p a pointer. */
const CALLS = {
  C_Initialize: [0, "p"],
  C_Finalize: [1, "p"],
  C_GetSlotList: [4, "bpp"],
  C_GetTokenInfo: [6, "up"],
  C_OpenSession: [12, "uuppp"],
  C_Login: [18, "uupu"],
  C_GetAttributeValue: [24, "uupu"],
  C_FindObjectsInit: [26, "upu"],
  C_FindObjects: [27, "upup"],
  C_FindObjectsFinal: [28, "u"],
  C_SignInit: [42, "upu"],
  C_Sign: [43, "upupp"],
  C_GenerateKeyPair: [59, "uppupupp"],
} as const satisfies Readonly<Record<string, readonly [number, string]>>;

type CallName = keyof typeof CALLS;

/** CK_ULONG values, by their names. */
export const CK = {
  CKO_CERTIFICATE: 1,
  CKO_PUBLIC_KEY: 2,
  CKO_PRIVATE_KEY: 3,
  CKK_RSA: 0,
  CKK_EC: 3,
  CKK_EC_EDWARDS: 0x40,
  CKA_CLASS: 0,
  CKA_TOKEN: 1,
  CKA_PRIVATE: 2,
  CKA_LABEL: 3,
  CKA_VALUE: 0x11,
  CKA_KEY_TYPE: 0x100,
  CKA_ID: 0x102,
  CKA_SENSITIVE: 0x103,
  CKA_SIGN: 0x108,
  CKA_VERIFY: 0x10a,
  CKA_MODULUS: 0x120,
  CKA_MODULUS_BITS: 0x121,
  CKA_PUBLIC_EXPONENT: 0x122,
  CKA_EXTRACTABLE: 0x162,
  CKA_EC_PARAMS: 0x180,
  CKA_EC_POINT: 0x181,
  CKA_ALWAYS_AUTHENTICATE: 0x202,
  CKM_RSA_PKCS_KEY_PAIR_GEN: 0,
  CKM_RSA_PKCS: 1,
  CKM_EC_KEY_PAIR_GEN: 0x1040,
  CKM_ECDSA: 0x1041,
  CKM_EC_EDWARDS_KEY_PAIR_GEN: 0x1055,
  CKM_EDDSA: 0x1057,
  CKU_USER: 1,
  CKU_CONTEXT_SPECIFIC: 2,
} as const;

const CKF_RW_SESSION = 2;
const CKF_SERIAL_SESSION = 4;
const CKF_LOGIN_REQUIRED = 4;
const CKF_TOKEN_INITIALIZED = 0x400;
const CKF_PROTECTED_AUTHENTICATION_PATH = 0x100;
const CKR_USER_ALREADY_LOGGED_IN = 0x100;

/** The return values that people meet. */
const RETURN_VALUES: Readonly<Record<number, string>> = {
  0x03: "CKR_SLOT_ID_INVALID",
  0x05: "CKR_GENERAL_ERROR",
  0x06: "CKR_FUNCTION_FAILED",
  0x07: "CKR_ARGUMENTS_BAD",
  0x30: "CKR_DEVICE_ERROR",
  0x32: "CKR_DEVICE_REMOVED",
  0x54: "CKR_FUNCTION_NOT_SUPPORTED",
  0x63: "CKR_KEY_TYPE_INCONSISTENT",
  0x68: "CKR_KEY_FUNCTION_NOT_PERMITTED",
  0x70: "CKR_MECHANISM_INVALID",
  0xa0: "CKR_PIN_INCORRECT",
  0xa2: "CKR_PIN_LEN_RANGE",
  0xa4: "CKR_PIN_LOCKED",
  0xe0: "CKR_TOKEN_NOT_PRESENT",
  0xe1: "CKR_TOKEN_NOT_RECOGNIZED",
  0x101: "CKR_USER_NOT_LOGGED_IN",
  0x102: "CKR_USER_PIN_NOT_INITIALIZED",
};

/** A call that did not succeed. */
export class ModuleError extends Error {
  override readonly name = "ModuleError";
  readonly call: string;
  readonly returned: string;

  constructor(call: string, returned: string) {
    super(`${call}: ${returned}`);
    this.call = call;
    this.returned = returned;
  }
}

export interface TokenFacts {
  readonly slotId: bigint;
  readonly label: string;
  readonly manufacturer: string;
  readonly model: string;
  readonly serial: string;
  readonly needsLogin: boolean;
  /** The PIN is typed at the token itself. */
  readonly hasPinPad: boolean;
}

/** An attribute to match or to set. */
export type Attribute = readonly [type: number, value: Uint8Array | number | boolean];

type Foreign = (...parameters: unknown[]) => number | bigint;

const NO_MORE = 4096;
const MAX_ATTRIBUTE_BYTES = 1 << 20;

/** A loaded and initialised module. */
export class Module {
  readonly #call: Readonly<Record<CallName, Foreign>>;
  readonly #address: (buffer: Uint8Array) => bigint;

  private constructor(call: Readonly<Record<CallName, Foreign>>, address: (buffer: Uint8Array) => bigint) {
    this.#call = call;
    this.#address = address;
  }

  /** Loads a module. Throws ModuleError; what importing `koffi` throws. */
  static async open(path: string): Promise<Module> {
    if (process.platform === "win32" || ["ia32", "arm"].includes(process.arch))
      throw new ModuleError("load", `modules are not called on ${process.platform} ${process.arch}`);
    const { default: koffi } = await import("koffi");
    let list: bigint;
    try {
      const getFunctionList = koffi.load(path).func("C_GetFunctionList", "ulong", ["void *"]) as Foreign;
      const out = Buffer.alloc(8);
      check("C_GetFunctionList", getFunctionList(out));
      list = out.readBigUInt64LE();
    } catch (error) {
      if (error instanceof ModuleError) throw error;
      throw new ModuleError("load", (error as Error).message.split("\n")[0]!.slice(0, 200));
    }
    const table = Buffer.from(koffi.view(list, 8 * 69));
    if (table[0] !== 2 && table[0] !== 3) throw new ModuleError("load", `PKCS#11 version ${table[0]}`);
    const kinds = { u: "ulong", p: "void *", b: "uint8" };
    const call = Object.fromEntries(
      Object.entries(CALLS).map(([name, [place, shape]]) => {
        const pointer = table.readBigUInt64LE(8 + 8 * place);
        const prototype = koffi.proto(
          "ulong",
          shape.split("").map((kind) => kinds[kind as keyof typeof kinds]),
        );
        return [name, (...parameters: unknown[]) => koffi.call(pointer, prototype, ...parameters) as number | bigint];
      }),
    ) as unknown as Readonly<Record<CallName, Foreign>>;
    const module = new Module(call, (buffer) => koffi.address(buffer));
    module.#do("C_Initialize", null);
    return module;
  }

  #do(name: CallName, ...parameters: unknown[]): void {
    check(name, this.#call[name](...parameters));
  }

  close(): void {
    this.#call.C_Finalize(null);
  }

  /** The tokens that are there and set up. */
  tokens(): TokenFacts[] {
    const count = Buffer.alloc(8);
    this.#do("C_GetSlotList", 1, null, count);
    const slots = Buffer.alloc(8 * Math.max(1, bounded(count.readBigUInt64LE(), NO_MORE)));
    this.#do("C_GetSlotList", 1, slots, count);
    const found: TokenFacts[] = [];
    for (let at = 0; at < bounded(count.readBigUInt64LE(), slots.length / 8); at++) {
      const slotId = slots.readBigUInt64LE(8 * at);
      const info = Buffer.alloc(512);
      try {
        this.#do("C_GetTokenInfo", slotId, info);
      } catch {
        // A token that says nothing of itself cannot be the one that is meant; it must not hide the others.
        continue;
      }
      const text = (from: number, to: number): string => info.toString("utf8", from, to).replace(/[\0 ]+$/, "");
      const flags = info.readUInt32LE(96);
      if ((flags & CKF_TOKEN_INITIALIZED) === 0) continue;
      found.push({
        slotId,
        label: text(0, 32),
        manufacturer: text(32, 64),
        model: text(64, 80),
        serial: text(80, 96),
        needsLogin: (flags & CKF_LOGIN_REQUIRED) !== 0,
        hasPinPad: (flags & CKF_PROTECTED_AUTHENTICATION_PATH) !== 0,
      });
    }
    return found;
  }

  openSession(slotId: bigint, isWritable: boolean): bigint {
    const session = Buffer.alloc(8);
    this.#do("C_OpenSession", slotId, CKF_SERIAL_SESSION | (isWritable ? CKF_RW_SESSION : 0), null, null, session);
    return session.readBigUInt64LE();
  }

  /** One attempt, no more: a token locks itself after a few. Without a PIN it is typed at the token. */
  login(session: bigint, user: number, pin: string | undefined): void {
    const octets = pin === undefined ? null : Buffer.from(pin);
    const returned = Number(this.#call.C_Login(session, user, octets, octets?.length ?? 0));
    octets?.fill(0);
    if (returned !== CKR_USER_ALREADY_LOGGED_IN) check("C_Login", returned);
  }

  find(session: bigint, attributes: readonly Attribute[]): bigint[] {
    const { template, kept } = this.#template(attributes);
    this.#do("C_FindObjectsInit", session, template, attributes.length);
    const found: bigint[] = [];
    const handles = Buffer.alloc(8 * 64);
    const count = Buffer.alloc(8);
    do {
      this.#do("C_FindObjects", session, handles, handles.length / 8, count);
      for (let at = 0; at < Number(count.readBigUInt64LE()); at++) found.push(handles.readBigUInt64LE(8 * at));
    } while (count.readBigUInt64LE() > 0n && found.length < NO_MORE);
    this.#do("C_FindObjectsFinal", session);
    kept.length = 0;
    return found;
  }

  /** An attribute's octets; undefined where the object has none, or does not show it. */
  attribute(session: bigint, object: bigint, type: number): Uint8Array | undefined {
    const ask = (value: Buffer | undefined): number => {
      const template = Buffer.alloc(24);
      template.writeBigUInt64LE(BigInt(type), 0);
      if (value !== undefined) template.writeBigUInt64LE(this.#address(value), 8);
      template.writeBigUInt64LE(BigInt(value?.length ?? 0), 16);
      if (Number(this.#call.C_GetAttributeValue(session, object, template, 1)) !== 0) return -1;
      const length = template.readBigUInt64LE(16);
      return length > BigInt(MAX_ATTRIBUTE_BYTES) ? -1 : Number(length);
    };
    const length = ask(undefined);
    if (length < 0) return undefined;
    if (length === 0) return new Uint8Array();
    const value = Buffer.alloc(length);
    const written = ask(value);
    return written < 0 || written > length ? undefined : Uint8Array.from(value.subarray(0, written));
  }

  /** A signature. `contextPin`: of keys that ask for the PIN each time; null where it is typed at the token. */
  sign(session: bigint, key: bigint, mechanism: number, data: Uint8Array, contextPin?: string | null): Uint8Array {
    this.#do("C_SignInit", session, mechanismOf(mechanism), key);
    if (contextPin !== undefined) this.login(session, CK.CKU_CONTEXT_SPECIFIC, contextPin ?? undefined);
    const signature = Buffer.alloc(4096);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(signature.length));
    this.#do("C_Sign", session, Buffer.from(data), data.length, signature, length);
    return Uint8Array.from(signature.subarray(0, bounded(length.readBigUInt64LE(), signature.length)));
  }

  generatePair(session: bigint, mechanism: number, publicPart: readonly Attribute[], privatePart: readonly Attribute[]): void {
    const ours = this.#template(publicPart);
    const theirs = this.#template(privatePart);
    const handles = [Buffer.alloc(8), Buffer.alloc(8)];
    this.#do(
      "C_GenerateKeyPair",
      session,
      mechanismOf(mechanism),
      ours.template,
      publicPart.length,
      theirs.template,
      privatePart.length,
      ...handles,
    );
    ours.kept.length = 0;
    theirs.kept.length = 0;
  }

  /** CK_ATTRIBUTE structures, and the values that they point to: those must live as long as the call. */
  #template(attributes: readonly Attribute[]): { readonly template: Buffer; readonly kept: Buffer[] } {
    const template = Buffer.alloc(24 * Math.max(1, attributes.length));
    const kept = attributes.map(([type, value], place) => {
      const octets = encodeValue(value);
      template.writeBigUInt64LE(BigInt(type), 24 * place);
      template.writeBigUInt64LE(this.#address(octets), 24 * place + 8);
      template.writeBigUInt64LE(BigInt(octets.length), 24 * place + 16);
      return octets;
    });
    return { template, kept };
  }
}

function check(call: string, returned: number | bigint): void {
  const value = Number(returned);
  if (value !== 0) throw new ModuleError(call, RETURN_VALUES[value] ?? `0x${value.toString(16)}`);
}

function bounded(value: bigint, limit: number): number {
  return value > BigInt(limit) ? limit : Number(value);
}

function mechanismOf(mechanism: number): Buffer {
  const structure = Buffer.alloc(24);
  structure.writeBigUInt64LE(BigInt(mechanism));
  return structure;
}

// CK_BBOOL is one octet, CK_ULONG eight. Buffer.alloc gives each its own memory when it is not pooled.
function encodeValue(value: Attribute[1]): Buffer {
  if (typeof value === "boolean") return Buffer.alloc(1, value ? 1 : 0);
  if (typeof value === "number") {
    const octets = Buffer.alloc(8);
    octets.writeBigUInt64LE(BigInt(value));
    return octets;
  }
  const octets = Buffer.alloc(Math.max(1, value.length));
  octets.set(value);
  return octets.subarray(0, value.length);
}
