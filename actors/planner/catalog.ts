/** The models that have a short name: what they are, how large, and where they are fetched from. Data: aliases.json. */
import aliases from "./aliases.json" with { type: "json" };

export interface CatalogEntry {
  /** What `exo run` takes; lower case. */
  readonly name: string;
  /** Further spellings; the family's bare name goes to one size. */
  readonly aliases: readonly string[];
  readonly family: string;
  /** config.json's `model_type`, by which the engine knows whether it can run it. */
  readonly modelType: string;
  readonly parameters: number;
  /** Parameters at work for one token, where experts are chosen. */
  readonly activeParameters?: number;
  /** About what the first repository's weights take on disk; the hub's list has the exact figure. */
  readonly bytes: number;
  /** Tokens that the model was made for. */
  readonly contextLength: number;
  /** `owner/name` on the hub: quantised for MLX first, the makers' own last. */
  readonly repositories: readonly string[];
}

export const catalog: readonly CatalogEntry[] = aliases;

/** The entry that a repository belongs to, in any of its conversions listed here. */
export const entryOf = (repository: string): CatalogEntry | undefined =>
  catalog.find(({ repositories }) =>
    repositories.some((one) => one.toLowerCase() === repository.toLowerCase()),
  );

/** Entries with their architecture's standing: what the engine cannot run yet is known, but said so before it is fetched. */
export const withSupport = (
  modelTypes: readonly string[],
): readonly (CatalogEntry & { readonly supported: boolean })[] =>
  catalog.map((entry) => ({ ...entry, supported: modelTypes.includes(entry.modelType) }));
