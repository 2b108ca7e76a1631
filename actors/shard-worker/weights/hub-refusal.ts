/** What a hub's refusal means, in words that a user can act on. */
import { Problem } from "#protocol/problem";

/** What was asked for, as the user would name it. */
export interface HubSubject {
  /** `owner/name`. */
  readonly repository: string;
  readonly revision: string;
  /** The file asked for; absent: the repository's description. */
  readonly file?: string;
}

interface Endpoint {
  readonly endpoint: string;
  readonly token?: string;
}

/**
 * The Problem for a status of 4xx other than 408, 416 and 429. The hub answers 401, not 404, to those without a token
 * for a repository that does not exist, and says in `X-Error-Code` which it means.
 */
export function refusal(response: Response, subject: HubSubject, hub: Endpoint): Problem {
  const { status, headers } = response;
  const said = headers.get("x-error-message") ?? "";
  const notThere = subject.file === undefined ? missing(subject, hub) : missingFile(subject, subject.file);
  if (status === 401 && said.startsWith("Invalid credentials")) return badToken(hub);
  switch (headers.get("x-error-code")) {
    case "GatedRepo":
      return gated(subject, hub);
    case "RevisionNotFound":
      return missingRevision(subject);
    case "RepoNotFound":
      return missing(subject, hub);
    case "EntryNotFound":
      return notThere;
  }
  if (status === 401 && subject.file === undefined) return missing(subject, hub);
  if (status === 401 || status === 403) return gated(subject, hub);
  if (status === 404) return notThere;
  return new Problem(
    "network",
    `the hub answered ${status} for ${subject.repository}${said === "" ? "" : `: ${said}`}`,
    {
      remedy: "Check HF_ENDPOINT and any proxy between.",
    },
  );
}

const badToken = ({ endpoint }: Endpoint): Problem =>
  new Problem("unauthorised", "the hub does not accept this HF_TOKEN", {
    remedy: `Make a new token at ${endpoint}/settings/tokens, or unset HF_TOKEN.`,
  });

const missingRevision = ({ repository, revision }: HubSubject): Problem =>
  new Problem("notFound", `${repository} has no revision ${revision}`, {
    remedy: "Leave out @revision for the newest.",
  });

const gated = ({ repository }: HubSubject, { endpoint, token }: Endpoint): Problem =>
  new Problem("unauthorised", `${repository} is gated: its owner lets only those in who accepted its terms`, {
    remedy:
      token === undefined
        ? `Accept them at ${endpoint}/${repository}, then set HF_TOKEN to a token from ${endpoint}/settings/tokens.`
        : `Accept them at ${endpoint}/${repository} with the account that this HF_TOKEN belongs to.`,
  });

const missing = ({ repository }: HubSubject, { endpoint, token }: Endpoint): Problem =>
  new Problem("notFound", `there is no repository ${repository} at ${new URL(endpoint).host}`, {
    remedy:
      token === undefined
        ? "Check the spelling; if it is private, set HF_TOKEN."
        : "Check the spelling; if it is private, this HF_TOKEN cannot see it.",
  });

const missingFile = ({ repository, revision }: HubSubject, file: string): Problem =>
  new Problem("notFound", `${repository} has no file ${file} at revision ${revision}`, {
    remedy: "Check the spelling of the file name.",
  });
