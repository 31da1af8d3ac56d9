// SPDX-License-Identifier: Apache-2.0
/**
 * Command lines as people have them in scripts, workflows and manuals: each is run by a shell, once with cosign and once with
 * lacre behind the name, in a folder and a home of its own, in this order. Both must end with the same status, and with the one
 * given where there is one.
 *
 * What they may use: the files `app.txt`, `other.txt`, `predicate.json`, `statement.json`, `sbom.spdx.json`, `plain.pem` (an
 * unencrypted EC key), `ca.pem`, `Dockerfile`, `pod.yaml`; `$SIGN` and `$TRUST` (where to sign, whom to trust), `$WHO` (identity and issuer), `$ID`,
 * `$ISSUER`, `$URL`, `$TRUSTDIR`, `token` (a file with an identity token) and `$TOKEN`, `$REG` (registry and repository of
 * this tool, with `app:1`, `app:2`, `index:1` in it), `COSIGN_PASSWORD` (set).
 */
export interface Line {
  readonly line: string;
  /** The status of both. Default: whatever cosign ends with. */
  readonly status?: number;
  /** Where ours is another on purpose: it, and the number of the reason in docs/cosign.md. */
  readonly differs?: { readonly status: number; readonly why: string };
}

const USAGE = { status: 2, why: "D1" } as const;
const NONE = { status: 12, why: "D3" } as const;
const BROUGHT = { status: 0, why: "D4" } as const;
const ADDRESSED = { status: 0, why: "D6" } as const;
const UNSEEN = { status: 3, why: "D2" } as const;

export const LINES: readonly Line[] = [
  // Files, with an identity.
  { line: "cosign version", status: 0 },
  { line: "cosign sign-blob --yes --identity-token token $SIGN --bundle app.sigstore.json app.txt", status: 0 },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST app.txt", status: 0 },
  { line: 'SIGSTORE_ID_TOKEN="$TOKEN" cosign sign-blob -y $SIGN --bundle=env.sigstore.json app.txt', status: 0 },
  { line: 'COSIGN_YES=true cosign sign-blob --identity-token "$TOKEN" $SIGN --bundle yes.sigstore.json app.txt', status: 0 },
  { line: "cosign sign-blob --yes $SIGN --identity-token token --bundle stdin.sigstore.json - < app.txt", status: 0 },
  {
    line: "cosign sign-blob --yes --use-signing-config=false --fulcio-url $URL --rekor-url $URL --oidc-issuer $ISSUER --trusted-root $TRUSTDIR/trusted_root.json --identity-token token --bundle urls.sigstore.json app.txt",
    status: 0,
  },
  { line: "cosign verify-blob --bundle urls.sigstore.json $WHO $TRUST app.txt", status: 0 },
  {
    line: 'cosign verify-blob --bundle app.sigstore.json --certificate-identity-regexp "@example.com$" --certificate-oidc-issuer-regexp ".*" $TRUST app.txt',
    status: 0,
  },
  {
    line: "cosign verify-blob --bundle app.sigstore.json --cert-identity $ID --cert-oidc-issuer $ISSUER $TRUST app.txt",
    status: 0,
  },
  {
    line: "cosign verify-blob -bundle app.sigstore.json -certificate-identity $ID -certificate-oidc-issuer $ISSUER $TRUST app.txt",
    status: 0,
  },
  {
    line: "cosign verify-blob --bundle app.sigstore.json --certificate-identity other@example.com --certificate-oidc-issuer $ISSUER $TRUST app.txt",
    status: 1,
  },
  {
    line: "cosign verify-blob --bundle app.sigstore.json --certificate-identity $ID --certificate-oidc-issuer https://accounts.google.com $TRUST app.txt",
    status: 1,
  },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST other.txt", status: 1 },
  { line: "cosign verify-blob --bundle app.sigstore.json $TRUST app.txt", differs: USAGE },
  { line: "cosign verify-blob --bundle app.sigstore.json --certificate-identity $ID $TRUST app.txt", differs: USAGE },
  { line: "cosign verify-blob --bundle missing.json $WHO $TRUST app.txt", differs: UNSEEN },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST missing.txt", differs: UNSEEN },
  { line: "cosign verify-blob --no-such-flag app.txt", differs: USAGE },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST --offline app.txt", status: 0 },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST --use-signed-timestamps app.txt", status: 0 },
  {
    line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST --insecure-ignore-sct --new-bundle-format app.txt",
    status: 0,
  },
  {
    line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST --certificate-github-workflow-repository octo/repo app.txt",
    status: 1,
  },
  { line: "cosign verify-blob --timeout 30s --bundle app.sigstore.json $WHO $TRUST app.txt", status: 0 },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO $TRUST < app.txt -", status: 0 },
  // Files, with a key.
  { line: "cosign generate-key-pair", status: 0 },
  { line: "cosign generate-key-pair --output-key-prefix release", status: 0 },
  { line: "cosign import-key-pair --key plain.pem --output-key-prefix imported", status: 0 },
  { line: "cosign public-key --key cosign.key > printed.pub && cmp printed.pub cosign.pub", status: 0 },
  { line: "cosign public-key --key imported.key --outfile out.pub && cmp out.pub imported.pub", status: 0 },
  { line: "cosign sign-blob --yes --key cosign.key $SIGN --bundle key.sigstore.json app.txt", status: 0 },
  { line: "cosign verify-blob --key cosign.pub --bundle key.sigstore.json $TRUST app.txt", status: 0 },
  { line: "cosign verify-blob --key release.pub --bundle key.sigstore.json $TRUST app.txt", status: 1 },
  {
    line: 'KEY="$(cat cosign.key)" cosign sign-blob --yes --key env://KEY $SIGN --bundle envkey.sigstore.json app.txt',
    status: 0,
  },
  { line: 'PUB="$(cat cosign.pub)" cosign verify-blob --key env://PUB --bundle envkey.sigstore.json $TRUST app.txt', status: 0 },
  {
    line: "COSIGN_PASSWORD=wrong cosign sign-blob --yes --key cosign.key $SIGN --bundle wrong.sigstore.json app.txt",
    differs: UNSEEN,
  },
  { line: "cosign sign-blob --yes --key missing.key $SIGN --bundle missing.sigstore.json app.txt", differs: UNSEEN },
  {
    line: "cosign sign-blob --yes --key cosign.key --tlog-upload=false --use-signing-config=false --output-signature app.sig --bundle bare.sigstore.json app.txt",
  },
  { line: "cosign verify-blob --key cosign.pub --bundle bare.sigstore.json --insecure-ignore-tlog=true app.txt" },
  { line: "cosign verify-blob --key cosign.pub --bundle bare.sigstore.json --private-infrastructure app.txt" },
  // Statements about files.
  {
    line: "cosign attest-blob --yes --identity-token token $SIGN --predicate predicate.json --type slsaprovenance1 --bundle att.sigstore.json app.txt",
    status: 0,
  },
  { line: "cosign verify-blob-attestation --bundle att.sigstore.json --type slsaprovenance1 $WHO $TRUST app.txt", status: 0 },
  { line: "cosign verify-blob-attestation --bundle att.sigstore.json --type spdxjson $WHO $TRUST app.txt", status: 1 },
  { line: "cosign verify-blob-attestation --bundle att.sigstore.json --type slsaprovenance1 $WHO $TRUST other.txt", status: 1 },
  {
    line: "cosign verify-blob-attestation --bundle att.sigstore.json --type slsaprovenance1 --check-claims=false $WHO $TRUST",
    status: 0,
  },
  {
    line: 'cosign verify-blob-attestation --bundle att.sigstore.json --type slsaprovenance1 --digest "$(sha256sum app.txt | cut -c1-64)" --digestAlg sha256 $WHO $TRUST',
  },
  {
    line: "cosign attest-blob --yes --identity-token token $SIGN --predicate sbom.spdx.json --type spdxjson --bundle sbom.sigstore.json app.txt",
    status: 0,
  },
  { line: "cosign attest-blob --yes --identity-token token $SIGN --statement statement.json --bundle statement.sigstore.json" },
  {
    line: "cosign attest-blob --yes --key cosign.key $SIGN --predicate - --type custom --bundle custom.sigstore.json app.txt < predicate.json",
    status: 0,
  },
  {
    line: "cosign verify-blob-attestation --key cosign.pub --bundle custom.sigstore.json --type custom $TRUST app.txt",
    status: 0,
  },
  // Trust.
  { line: "cosign initialize --mirror $URL/tuf/ --root $TRUSTDIR/root.json", status: 0 },
  { line: "cosign verify-blob --bundle app.sigstore.json $WHO app.txt", status: 0 },
  { line: "cosign initialize --mirror $URL/tuf/ --root predicate.json" },
  { line: "cosign env > /dev/null", status: 0 },
  { line: "cosign completion bash > /dev/null", status: 0 },
  { line: "cosign trusted-root create --fulcio url=$URL,certificate-chain=ca.pem --out root.json", status: 0 },
  {
    line: "cosign signing-config create --fulcio url=$URL,api-version=1,start-time=2024-01-01T00:00:00Z,operator=example.com --rekor url=$URL,api-version=2,start-time=2024-01-01T00:00:00Z,operator=example.com --rekor-config ANY --out signing.json",
    status: 0,
  },
  {
    line: "cosign sign-blob --yes --key cosign.key $SIGN --rekor-url $URL --bundle clash.sigstore.json app.txt",
    status: 1,
    differs: USAGE,
  },
  {
    line: "cosign sign-blob --yes --key cosign.key --use-signing-config --signing-config $TRUSTDIR/signing_config.v0.2.json --bundle clash.sigstore.json app.txt",
    status: 1,
    differs: USAGE,
  },
  {
    line: "cosign sign-blob --yes --key cosign.key --rekor-url $URL --bundle addressed.sigstore.json app.txt",
    status: 1,
    differs: ADDRESSED,
  },
  {
    line: "cosign sign-blob --yes --key cosign.key --issue-certificate --identity-token token $SIGN --bundle issued.sigstore.json app.txt",
    status: 0,
  },
  { line: "cosign verify-blob --bundle issued.sigstore.json $WHO $TRUST --max-workers 4 app.txt", status: 0 },
  { line: "SIGSTORE_ROOT_FILE=ca.pem cosign verify-blob --bundle app.sigstore.json $WHO $TRUST app.txt", status: 0 },
  { line: "cosign trusted-root create --fulcio certificate-chain=ca.pem", status: 1, differs: USAGE },
  {
    line: "openssl dgst -sha256 -sign plain.pem app.txt | base64 > raw.sig && cosign bundle create --artifact app.txt --signature raw.sig --key out.pub --ignore-tlog --out made.sigstore.json",
    status: 0,
  },
  { line: "cosign verify-blob --bundle made.sigstore.json --key out.pub --insecure-ignore-tlog app.txt", status: 0 },
  { line: "cosign version --json > /dev/null", status: 0 },
  // Images.
  { line: "cosign verify $WHO $TRUST $REG/app:1", status: 10 },
  { line: "cosign verify $WHO $TRUST $REG/app:missing" },
  { line: "cosign verify $WHO $TRUST $REG/nothing:1" },
  { line: 'cosign sign --yes --identity-token token $SIGN "$REG/app@$DIGEST"', status: 0 },
  { line: "cosign verify $WHO $TRUST $REG/app:1", status: 0 },
  {
    line: 'cosign verify -o json $WHO $TRUST $REG/app:1 > verified.json && node -e \'JSON.parse(require("fs").readFileSync("verified.json"))[0].critical.image\'',
  },
  {
    line: "cosign verify --certificate-identity other@example.com --certificate-oidc-issuer $ISSUER $TRUST $REG/app:1",
    differs: NONE,
  },
  { line: "cosign verify $TRUST $REG/app:1", differs: USAGE },
  { line: "cosign sign --yes --key cosign.key $SIGN -a build=7 $REG/app:2", status: 0 },
  { line: "cosign verify --key cosign.pub $TRUST -a build=7 $REG/app:2", status: 0 },
  { line: "cosign verify --key cosign.pub $TRUST -a build=8 $REG/app:2", differs: NONE },
  { line: "cosign verify --key release.pub $TRUST $REG/app:2", differs: NONE },
  { line: "cosign sign --yes --key cosign.key $SIGN --recursive $REG/index:1", status: 0 },
  { line: "cosign verify --key cosign.pub $TRUST $REG/index:1", status: 0 },
  {
    line: "cosign sign --yes --key cosign.key --use-signing-config=false --new-bundle-format=false --tlog-upload=false $REG/app:3",
  },
  { line: "cosign verify --key cosign.pub --insecure-ignore-tlog=true --new-bundle-format=false $REG/app:3" },
  {
    line: "cosign attest --yes --identity-token token $SIGN --predicate predicate.json --type slsaprovenance1 $REG/app:1",
    status: 0,
  },
  { line: "cosign verify-attestation --type slsaprovenance1 $WHO $TRUST $REG/app:1 > /dev/null", status: 0 },
  { line: "cosign verify-attestation --type spdxjson $WHO $TRUST $REG/app:1", differs: NONE },
  { line: "cosign attest --yes --key cosign.key $SIGN --predicate sbom.spdx.json --type spdxjson $REG/app:2", status: 0 },
  { line: "cosign verify-attestation --key cosign.pub --type spdxjson $TRUST $REG/app:2 > /dev/null", status: 0 },
  { line: "cosign tree $REG/app:1", status: 0 },
  { line: "cosign triangulate $REG/app:1" },
  { line: "cosign download attestation $REG/app:1 > /dev/null" },
  { line: "cosign download signature $REG/app:1 > /dev/null" },
  { line: "cosign save --dir saved $REG/app:1", status: 0 },
  { line: "cosign verify --local-image $WHO $TRUST saved" },
  { line: "cosign load --dir saved $REG/loaded:1", differs: BROUGHT },
  { line: "cosign verify $WHO $TRUST $REG/loaded:1", differs: BROUGHT },
  { line: "cosign copy $REG/app:1 $REG/copied:1" },
  { line: "cosign verify $WHO $TRUST $REG/copied:1", differs: BROUGHT },
  { line: "cosign dockerfile verify $WHO $TRUST Dockerfile", differs: { status: 0, why: "D5" } },
  { line: "cosign manifest verify $WHO $TRUST pod.yaml", differs: { status: 0, why: "D5" } },
  { line: "cosign clean --force $REG/app:2" },
  { line: "cosign verify --key cosign.pub $TRUST $REG/app:2" },
  { line: "cosign login -u user -p password localhost:1" },
];
