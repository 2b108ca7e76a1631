/** What other machines say of themselves, made fit for terminals and tables. */
import { plainName } from "#protocol/node";

export const shownName = (name: string): string => plainName(name) || "a machine without a name";
