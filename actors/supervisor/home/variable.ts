/** An empty variable counts as unset, as shells and containers often leave them. */
export const set = (value: string | undefined): string | undefined =>
  value === undefined || value === "" ? undefined : value;
