/** The models that can be asked for here, as programs see them. */
import type { ModelListing } from "#actors/api-gateway/ports";
import { CREATED_MAX, MODEL_MAX, QUANTISATION_MAX, type StoredView } from "#protocol/placement";
import type { ModelState } from "#protocol/supervisor";
import type { StoredElsewhere } from "../placement/stored-elsewhere.ts";

/** What this machine's disk and memory hold, and what others of its home have: each name once. */
export function listed(
  own: readonly ModelListing[],
  held: readonly ModelState[],
  elsewhere: readonly StoredElsewhere[] = [],
): readonly ModelListing[] {
  const names = new Set(own.map(({ id }) => id));
  const others = elsewhere
    .filter(({ model }) => !names.has(model))
    .map(({ model: id, ...more }) => ({ id, state: "downloaded" as const, ...more }));
  const all = withHeld([...own, ...others], held);
  return [...Map.groupBy(all, ({ id }) => id).values()].flatMap(merged);
}

/** What the disks hold, with what is known of the models in memory; of these also the ones that lie elsewhere. */
function withHeld(listings: readonly ModelListing[], held: readonly ModelState[]): readonly ModelListing[] {
  const elsewhere = held
    .filter(({ path }) => !listings.some((listing) => listing.path === path))
    .map(({ model, path, state }) => ({ id: model, path, state, created: changedSeconds(path) }));
  return [...listings, ...elsewhere].map((listing) => {
    const found = held.find(
      ({ model, path }) => path === listing.path && (path !== "" || model === listing.id),
    );
    if (!found) return listing;
    const { state, facts } = found;
    if (!facts) return { ...listing, state };
    const { contextLength, quantisation, weightBytes: bytes } = facts;
    return { bytes, quantisation, ...listing, state, contextLength };
  });
}

/** Of the copies of one name the first is described, and the one that is in memory says how it is there. */
function merged(copies: readonly ModelListing[]): readonly ModelListing[] {
  const [first] = copies;
  const { state, contextLength } = copies.find((copy) => copy.state !== "downloaded") ?? {};
  if (!first || !state) return first ? [first] : [];
  return [{ ...first, state, ...(contextLength !== undefined && { contextLength }) }];
}

/** This machine's disk, as other machines hear of it: files may say more than a message holds, which would cost the link. */
export const toldOf = (own: readonly ModelListing[]): readonly StoredView[] =>
  own
    .filter(({ id }) => id.length <= MODEL_MAX)
    .map(({ id: model, bytes = 0, created, quantisation }) => ({
      ...{ model, bytes, created: Math.min(created, CREATED_MAX) },
      ...(quantisation !== undefined && { quantisation: quantisation.slice(0, QUANTISATION_MAX) }),
    }));

/** Bun gives the largest number for a file that is gone, of which no date can be made; a model of other machines has none here. */
function changedSeconds(path: string): number {
  if (path === "") return 0;
  const seconds = Math.floor(Bun.file(path).lastModified / 1000);
  return seconds < 2 ** 32 ? seconds : 0;
}
