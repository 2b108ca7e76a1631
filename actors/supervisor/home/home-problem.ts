/** What the system says when a file cannot be put into EXO_HOME, as a Problem. */
import { Problem } from "#protocol/problem";

const FULL = ["ENOSPC", "EDQUOT", "SQLITE_FULL"];
const NO_FOLDER = ["ENOTDIR", "EEXIST"];
/** Where a folder should be lies something else, nothing can be made, or others own it: errno(3), https://www.sqlite.org/rescode.html. */
const CLOSED = [
  ...["EACCES", "EPERM", "EROFS", "ENOTDIR", "ENOENT", "EEXIST", "ELOOP", "ENAMETOOLONG"],
  ...["SQLITE_READONLY", "SQLITE_CANTOPEN"],
];

/** `failed` says what could not be done, with the path. An error of another kind comes back as it is. */
export function homeProblem(error: unknown, failed: string): unknown {
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  if (FULL.includes(code)) {
    const remedy = "free some space, or set EXO_HOME to a folder on another disk";
    return new Problem("doesNotFit", `the disk is full: ${failed}`, { remedy, cause: error });
  }
  if (!CLOSED.includes(code)) return error;
  const remedy = NO_FOLDER.includes(code)
    ? "what lies there is no folder: move it away, or set EXO_HOME to one"
    : "make it writable for you, or set EXO_HOME to a folder that is";
  return new Problem("internal", `${failed} (${code})`, { remedy, cause: error });
}
