// SPDX-License-Identifier: Apache-2.0
/**
 * Where a code may be sent. Native applications listen on a loopback address whose port they learn at run time (RFC 8252,
 * section 7.3); official clients use `http://localhost:<port>` with and without a path. A code goes to this machine or
 * onto the page, nowhere else.
 */

/** The out-of-band address: the code is shown, and the person carries it. */
export const OUT_OF_BAND = "urn:ietf:wg:oauth:2.0:oob";

/** Whether a code may go there: the out-of-band address, or plain http to a loopback host, any port and any path. */
export function isAllowedRedirect(uri: string): boolean {
  if (uri === OUT_OF_BAND) return true;
  // The text is compared, not only its parse: a URL parser forgives backslashes, credentials and odd spellings of hosts.
  const parts = /^http:\/\/(?:localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?(?:\/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*)?$/.exec(uri);
  return parts !== null && (parts[1] === undefined || Number(parts[1]) <= 65_535);
}
