// SPDX-License-Identifier: Apache-2.0
/** Dockerfiles: images are named, or the file is refused; no variable is left in a name. */
import { CliError } from "../packages/cli/src/errors.ts";
import { parseDockerfile } from "../packages/cli/src/images/dockerfile.ts";
import { text, utf8 } from "../packages/core/src/bytes/index.ts";
import { LacreError } from "../packages/core/src/errors.ts";

export const name = "dockerfile";

export const seeds: Uint8Array[] = [
  "# syntax=docker/dockerfile:1\nARG A=x B\nFROM --platform=$BUILDPLATFORM r/${A:-y}:1 AS one\nRUN <<EOF\nFROM no\nEOF\nCOPY --from=one /a /b\nFROM one\n",
  "# escape=`\nFROM a `\n  AS b\nRUN --mount=type=bind,from=c:1,target=/x true\nFROM scratch\nCOPY --from=0 a b\n",
].map(utf8);

export function target(bytes: Uint8Array): void {
  try {
    const { images, base } = parseDockerfile(text(bytes), { B: "given", BUILDPLATFORM: "linux/amd64" });
    if (images.some((image) => image === "" || /\s/.test(image)) || (base !== undefined && !images.includes(base)))
      throw new TypeError("an image without a name");
  } catch (error) {
    if (error instanceof CliError) throw new LacreError("BAD_NOTE", error.message.replaceAll(/[^a-z ]/gi, ""));
    throw error;
  }
}
