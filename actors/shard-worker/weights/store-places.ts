/** Where models are on this machine, and the short names they go by. All of it is given: nothing here reads the environment. */

/** A short name for a model and the repositories it is fetched from, best first. The catalogue's entries are such. */
export interface Alias {
  readonly name: string;
  /** Further spellings. */
  readonly aliases: readonly string[];
  readonly repositories: readonly string[];
}

/** Where models are, and the names known. */
export interface Places {
  /** Caches in Hugging Face's layout; the first is written to. See `hubFolders`. */
  readonly hubFolders: readonly [string, ...string[]];
  /** Folders of models under their own names (`EXO_HOME/models`): `<name>/config.json`, `<name>/x.gguf` or `<name>.gguf`. */
  readonly modelFolders: readonly string[];
  /** The same, but not ours to delete from: what the source build fetched. */
  readonly extraModelFolders: readonly string[];
  readonly aliases: readonly Alias[];
  /** What relative paths are relative to. */
  readonly cwd: string;
  /** What `~` stands for. */
  readonly home: string;
}
