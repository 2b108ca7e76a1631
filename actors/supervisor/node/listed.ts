/** The models that can be asked for here, as programs see them. */
import type { ModelListing } from "#actors/api-gateway/ports";
import type { ModelState } from "#protocol/supervisor";
import type { StoredElsewhere } from "../placement/stored-elsewhere.ts";

/** What this machine's disk and memory hold, and what others of its home have. */
export const listed = (
  own: readonly ModelListing[],
  held: readonly ModelState[],
  elsewhere: readonly StoredElsewhere[] = [],
): readonly ModelListing[] => withElsewhere(withHeld(own, held), elsewhere);

/** What the disk holds, with what is known of the models in memory; of these also the ones that lie elsewhere. */
function withHeld(listings: readonly ModelListing[], held: readonly ModelState[]): readonly ModelListing[] {
  const elsewhere = held
    .filter(({ path }) => !listings.some((listing) => listing.path === path))
    .map(({ model, path, state }) => ({ id: model, path, state, created: changedSeconds(path) }));
  return [...listings, ...elsewhere].map((listing) => {
    const found = held.find(({ path }) => path === listing.path);
    if (!found) return listing;
    const { state, facts } = found;
    if (!facts) return { ...listing, state };
    const { contextLength, quantisation, weightBytes: bytes } = facts;
    return { bytes, quantisation, ...listing, state, contextLength };
  });
}

/** Also what other machines have: whoever asks for it here gets it of them. */
function withElsewhere(
  listings: readonly ModelListing[],
  stored: readonly StoredElsewhere[],
): readonly ModelListing[] {
  const own = new Set(listings.map(({ id }) => id));
  const others = stored.filter(({ model }) => !own.has(model));
  return [
    ...listings,
    ...others.map(({ model: id, ...more }) => ({ id, state: "downloaded" as const, ...more })),
  ];
}

/** Bun gives the largest number for a file that is gone, of which no date can be made; a model of other machines has none here. */
function changedSeconds(path: string): number {
  if (path === "") return 0;
  const seconds = Math.floor(Bun.file(path).lastModified / 1000);
  return seconds < 2 ** 32 ? seconds : 0;
}
