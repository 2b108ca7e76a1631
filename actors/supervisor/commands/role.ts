/** What a machine of the home is for, as a user spells it. */
import { ROLES, type Role } from "#protocol/cluster";
import { usageProblem } from "../exit-code.ts";

export function roleOf(word: string): Role {
  const role = ROLES.find((each) => each === word);
  if (role) return role;
  throw usageProblem(`${word} is no role`, `one of: ${ROLES.join(", ")}`);
}
