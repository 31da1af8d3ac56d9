// SPDX-License-Identifier: Apache-2.0
/** Which identities are stored, and where. */

export class Identities {
  readonly #recent = new Map<string, number>();

  add(identity: string, index: number): void {
    this.#recent.set(identity, index);
  }

  async find(identity: string): Promise<number | undefined> {
    return this.#recent.get(identity);
  }
}
