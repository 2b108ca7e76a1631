/** What a binary knows of its own making; from source most of it is absent. */
export interface BuildFacts {
  readonly version: string;
  /** Short hash of the commit, with `+` when files were changed on top of it; `source` when not built. */
  readonly commit: string;
  /** The tree that the program runs from; absent in a binary. */
  readonly sourceTree?: string;
  /** The native library inside the binary; absent from source, where the library lies in `.cache/native`. */
  readonly library?: EmbeddedLibrary;
}

/** Every file of the native library's folder, as `build.ts` embedded it. */
export interface EmbeddedLibrary {
  /** Names the unpacked folder: changes whenever any file does. */
  readonly hash: string;
  readonly files: readonly EmbeddedFile[];
}

export interface EmbeddedFile {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Where Bun shows the embedded bytes (`/$bunfs/root/…`). */
  readonly source: string;
}
