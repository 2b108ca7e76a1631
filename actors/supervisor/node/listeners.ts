/** Those who want to hear that something is another. */
export function listeners() {
  const all = new Set<() => void>();
  return {
    tell() {
      for (const each of [...all]) each();
    },
    add(run: () => void): () => void {
      all.add(run);
      return () => all.delete(run);
    },
  };
}
