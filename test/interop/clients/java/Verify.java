// SPDX-License-Identifier: Apache-2.0
import dev.sigstore.KeylessVerifier;
import dev.sigstore.TrustedRootProvider;
import dev.sigstore.VerificationOptions;
import dev.sigstore.bundle.Bundle;
import dev.sigstore.strings.StringMatcher;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;

/** Verifies a bundle with sigstore-java: TRUSTED_ROOT IDENTITY ISSUER ARTIFACT BUNDLE. */
final class Verify {
  public static void main(String[] args) throws Exception {
    var signer =
        VerificationOptions.CertificateMatcher.fulcio()
            .subjectAlternativeName(StringMatcher.string(args[1]))
            .issuer(StringMatcher.string(args[2]))
            .build();
    KeylessVerifier.builder()
        .trustedRootProvider(TrustedRootProvider.from(Path.of(args[0])))
        .build()
        .verify(
            Path.of(args[3]),
            Bundle.from(Path.of(args[4]), StandardCharsets.UTF_8),
            VerificationOptions.builder().addCertificateMatchers(signer).build());
    System.out.println("verified");
  }
}
