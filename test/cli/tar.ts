// SPDX-License-Identifier: Apache-2.0
/** Tars for tests (POSIX ustar), written by hand so that they can be wrong in any way. */
export interface Entry {
  readonly name: string;
  readonly bytes?: Uint8Array;
  /** "0" file, "1" hard link, "2" symbolic link, "3" device, "5" folder. */
  readonly type?: string;
  readonly link?: string;
}

export function createTar(entries: readonly Entry[]): Uint8Array {
  const parts: Buffer[] = [];
  for (const { name, bytes = new Uint8Array(), type = "0", link = "" } of entries) {
    const header = Buffer.alloc(512);
    header.write(name, 0, 100, "utf8");
    header.write("0000644\0", 100);
    header.write("0000000\0", 108);
    header.write("0000000\0", 116);
    header.write(`${bytes.length.toString(8).padStart(11, "0")}\0`, 124);
    header.write("00000000000\0", 136);
    header.write("        ", 148);
    header.write(type, 156);
    header.write(link, 157, 100, "utf8");
    header.write("ustar\u000000", 257, "latin1");
    const sum = header.reduce((total, octet) => total + octet, 0);
    header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    parts.push(header, Buffer.from(bytes), Buffer.alloc((512 - (bytes.length % 512)) % 512));
  }
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}
