/** What every answer tells a browser: to make nothing of it but what it says it is, and to show it in no other site's frame. */

const COMMON = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cross-origin-opener-policy": "same-origin",
};

/** https://www.w3.org/TR/CSP3/ */
const API_POLICY = "default-src 'none'; frame-ancestors 'none'";
/** The dashboard's pages have scripts and styles in files of their own and talk to this server alone. */
const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

export function setSecurityHeaders(headers: Headers): void {
  for (const [name, value] of Object.entries(COMMON)) headers.set(name, value);
  const isPage = headers.get("content-type")?.startsWith("text/html") ?? false;
  headers.set("content-security-policy", isPage ? PAGE_POLICY : API_POLICY);
  if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
}
