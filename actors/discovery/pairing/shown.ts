/** What other machines say of themselves, made fit for terminals and tables. */
const NAME_MAX = 64;

export const plainName = (name: string): string =>
  [...name.replaceAll(/[\p{C}\p{Zl}\p{Zp}]/gu, "")].slice(0, NAME_MAX).join("").trim() ||
  "a machine without a name";
