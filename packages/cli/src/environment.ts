// SPDX-License-Identifier: Apache-2.0
/** Every environment variable that the command heeds, and what for. Any flag of a signing or verifying verb is `COSIGN_<FLAG>` besides. */

export interface Variable {
  readonly name: string;
  readonly brief: string;
  readonly isSecret?: boolean;
}

export const ENVIRONMENT: readonly Variable[] = [
  { name: "LACRE_DIR", brief: "Data directory of the installation: whom to trust, whom to sign with" },
  { name: "LACRE_LISTEN", brief: "host:port that lacre up listens on" },
  {
    name: "LACRE_ID_TOKEN_FILE",
    brief: "File that holds an identity token and is renewed (default /var/run/sigstore/cosign/oidc-token)",
  },
  { name: "LACRE_DEBUG", brief: "1: stack traces with errors" },
  { name: "NO_COLOR", brief: "Anything: no colours" },
  { name: "SIGSTORE_ID_TOKEN", brief: "Identity token to sign with", isSecret: true },
  { name: "SIGSTORE_ROOT_FILE", brief: "Certificate authorities to trust (PEM), instead of the trusted root's" },
  { name: "SIGSTORE_REKOR_PUBLIC_KEY", brief: "Keys of the logs to trust (PEM), instead of the trusted root's" },
  {
    name: "SIGSTORE_CT_LOG_PUBLIC_KEY_FILE",
    brief: "Keys of the certificate logs to trust (PEM), instead of the trusted root's",
  },
  {
    name: "SIGSTORE_TSA_CERTIFICATE_FILE",
    brief: "Timestamp authority to trust (PEM, signer first), instead of the trusted root's",
  },
  { name: "TUF_MIRROR", brief: "Address of the TUF repository to take trust from, with TUF_ROOT_JSON" },
  { name: "TUF_ROOT_JSON", brief: "File of that repository's first root" },
  { name: "TUF_ROOT", brief: "Folder where installations are remembered, instead of the user's own" },
  { name: "COSIGN_YES", brief: "true: do not ask before publishing" },
  { name: "COSIGN_PASSWORD", brief: "Password of encrypted keys", isSecret: true },
  { name: "LACRE_IMPORT_PASSWORD", brief: "Password of the key that is imported", isSecret: true },
  { name: "COSIGN_REPOSITORY", brief: "Where images' signatures are kept, instead of beside the image" },
  { name: "COSIGN_EXPERIMENTAL", brief: "Understood; nothing here is experimental" },
  { name: "COSIGN_DOCKER_MEDIA_TYPES", brief: "1: Docker's media types for what is pushed" },
  { name: "COSIGN_MAX_ATTACHMENT_SIZE", brief: "Largest attachment that is read, as 128MiB" },
  { name: "COSIGN_PKCS11_MODULE_PATH", brief: "PKCS#11 module of keys in tokens" },
  { name: "COSIGN_PKCS11_PIN", brief: "PIN of the token", isSecret: true },
  { name: "COSIGN_PKCS11_IGNORE_CERTIFICATE", brief: "1: do not look for a certificate in the token" },
  { name: "ACTIONS_ID_TOKEN_REQUEST_URL", brief: "GitHub Actions: where a job's identity token is asked for" },
  { name: "ACTIONS_ID_TOKEN_REQUEST_TOKEN", brief: "GitHub Actions: what it is asked with", isSecret: true },
  { name: "GITLAB_CI", brief: "GitLab: set in its jobs, whose identity token is <AUDIENCE>_ID_TOKEN" },
  { name: "BUILDKITE_AGENT_ACCESS_TOKEN", brief: "Buildkite: what the agent's API is asked with", isSecret: true },
  { name: "BUILDKITE_AGENT_ENDPOINT", brief: "Buildkite: address of the agent's API" },
  { name: "BUILDKITE_JOB_ID", brief: "Buildkite: the job" },
  { name: "CIRCLECI", brief: "CircleCI: set in its jobs" },
  { name: "CIRCLE_OIDC_TOKEN_V2", brief: "CircleCI: the job's identity token", isSecret: true },
  { name: "CIRCLE_OIDC_TOKEN", brief: "CircleCI: the same, of its first form", isSecret: true },
  { name: "GOOGLE_SERVICE_ACCOUNT_NAME", brief: "Google Cloud: the service account to sign as, by impersonation" },
  { name: "GCE_METADATA_HOST", brief: "Google Cloud: the metadata server's address" },
  { name: "SPIFFE_ENDPOINT_SOCKET", brief: "SPIFFE: socket of the workload API" },
  { name: "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAMCREDENTIALS", brief: "Google Cloud: address of the IAM credentials API" },
  { name: "AWS_WEB_IDENTITY_TOKEN_FILE", brief: "EKS: file of the workload's identity token" },
  { name: "AZURE_FEDERATED_TOKEN_FILE", brief: "Azure: file of the workload's identity token" },
  { name: "DOCKER_CONFIG", brief: "Folder of Docker's configuration: credentials for registries" },
  { name: "REGISTRY_AUTH_FILE", brief: "File of credentials for registries, as podman has it" },
  { name: "KUBECONFIG", brief: "Kubernetes: configuration, for keys in secrets" },
  { name: "VAULT_ADDR", brief: "Address of Vault, for keys kept there" },
  { name: "VAULT_TOKEN", brief: "Token for Vault", isSecret: true },
  { name: "BAO_ADDR", brief: "The same for OpenBao" },
  { name: "BAO_TOKEN", brief: "Token for OpenBao", isSecret: true },
  { name: "AWS_REGION", brief: "AWS: region of keys in its KMS; credentials as for the aws command" },
  { name: "TRANSIT_SECRET_ENGINE_PATH", brief: "Vault: path of the transit engine (default transit)" },
  { name: "SOURCE_DATE_EPOCH", brief: "Seconds since 1970: when attachments of images say they were made" },
  { name: "HTTP_PROXY", brief: "Proxy for http addresses" },
  { name: "HTTPS_PROXY", brief: "Proxy for https addresses" },
  { name: "NO_PROXY", brief: "Hosts that are asked without the proxy" },
  { name: "SSL_CERT_FILE", brief: "Certificate authorities for https (PEM), instead of the built-in ones" },
];
