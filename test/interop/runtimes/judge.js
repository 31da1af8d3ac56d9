// SPDX-License-Identifier: Apache-2.0
// Answers questions (cases.ts) with the library as it is published, in whatever runtime has loaded this. Plain JavaScript:
// no runtime has to know TypeScript, and a page loads the same file.

/** The verdict of each question, as JSON; the error's code where the question itself is wrong. */
export function judge({ createVerifier, decodeTrustedRoot, importPublicKey, parsePem }, questions) {
  return questions.map(({ bundle, root, key, message, digests, identity, issuer, nowMs }) => {
    try {
      const publicKey =
        key === undefined ? undefined : importPublicKey(parsePem(new TextDecoder().decode(octets(key)), "PUBLIC KEY"));
      const verdict = createVerifier({ trustedRoot: decodeTrustedRoot(octets(root)) }).verify({
        bundle: octets(bundle),
        artifact: {
          digests: new Map(Object.entries(digests).map(([name, digest]) => [name, fromHex(digest)])),
          ...(message === undefined ? {} : { message: octets(message) }),
        },
        policy: publicKey === undefined ? { identities: [{ identity: { exact: identity }, issuer: { exact: issuer } }] } : {},
        ...(publicKey === undefined ? {} : { key: publicKey }),
        nowMs,
      });
      return JSON.stringify(verdict);
    } catch (error) {
      return error.code ?? String(error.stack ?? error);
    }
  });
}

function octets(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

function fromHex(text) {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
