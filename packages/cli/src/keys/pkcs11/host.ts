// SPDX-License-Identifier: Apache-2.0
/**
 * The process in which a PKCS#11 module runs: it answers what `client.ts` asks over the channel between them, one thing at a
 * time, and ends when the channel closes. Whatever the module does to this process, the asker sees only a missing answer.
 */
import { fileURLToPath } from "node:url";
import { type Attribute, Module, ModuleError } from "./module.ts";

/** Where this program is, for starting a process on it. */
export const PROGRAM: string = fileURLToPath(import.meta.url);

/** What can be asked, and what the answer is. */
export interface Questions {
  open(path: string): void;
  tokens(): ReturnType<Module["tokens"]>;
  openSession(slotId: bigint, isWritable: boolean): bigint;
  login(session: bigint, user: number, pin: string | undefined): void;
  find(session: bigint, attributes: readonly Attribute[]): bigint[];
  attribute(session: bigint, object: bigint, type: number): Uint8Array | undefined;
  sign(session: bigint, key: bigint, mechanism: number, data: Uint8Array, contextPin?: string | null): Uint8Array;
  generatePair(session: bigint, mechanism: number, publicPart: readonly Attribute[], privatePart: readonly Attribute[]): void;
}

export interface Question {
  readonly name: keyof Questions;
  readonly parameters: readonly unknown[];
}

export type Answer =
  | { readonly kind: "answer"; readonly value: unknown }
  | { readonly kind: "refused"; readonly call: string; readonly returned: string }
  | { readonly kind: "absent" };

let module: Module | undefined;

async function answer({ name, parameters }: Question): Promise<Answer> {
  try {
    if (name === "open") {
      module = await Module.open(parameters[0] as string);
      return { kind: "answer", value: undefined };
    }
    if (module === undefined) throw new ModuleError(name, "no module is loaded");
    const method = module[name] as (...given: readonly unknown[]) => unknown;
    return { kind: "answer", value: method.apply(module, [...parameters]) };
  } catch (error) {
    if (error instanceof ModuleError) return { kind: "refused", call: error.call, returned: error.returned };
    if ((error as { code?: string }).code === "ERR_MODULE_NOT_FOUND") return { kind: "absent" };
    return { kind: "refused", call: name, returned: "an internal error" };
  }
}

// The asker loads this file too, to know where it is.
if (process.send !== undefined && process.argv[1] === PROGRAM) {
  process.on("message", (question: Question) => {
    void answer(question).then((given) => process.send?.(given));
  });
  process.on("disconnect", () => {
    module?.close();
    process.exit(0);
  });
}
