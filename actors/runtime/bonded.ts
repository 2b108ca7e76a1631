/** Two actors that cannot do without each other. */
import type { Address } from "#protocol/ids";
import type { ActorSystem } from "./system.ts";

/** When one ends other than in order, so does the other. Undone by the returned function. */
export function bonded(
  system: Pick<ActorSystem, "watch" | "fail">,
  one: Address,
  other: Address,
): () => void {
  const bond = (of: Address, to: Address) =>
    system.watch(of, ({ how, why }) => {
      undo();
      if (how !== "stopped") system.fail(to, new Error(`${of}, to which it is linked, ended: ${why}`));
    });
  const undos = [bond(one, other), bond(other, one)];
  const undo = () => {
    for (const each of undos.splice(0)) each();
  };
  return undo;
}
