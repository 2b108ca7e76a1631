/** `exo rotate-key`: other keys for this home, as after a disk or a backup of one of its machines was in strange hands. */
import { needDaemon } from "../daemon/daemon.ts";
import { printJson, type Session } from "../session.ts";

/** Throws Problem, `unavailable` where too few of those that vote are up. */
export async function rotateKey(session: Session): Promise<void> {
  const { signal, json, progress } = session;
  const daemon = await needDaemon(session);
  await daemon.post("/exo/v1/cluster/rotate", {}, signal);
  if (json) return printJson(session, "rotate-key", {});
  progress.milestone("this home has another key; machines that are off learn of it when they come back");
  progress.milestone(
    "a machine's own key stays: to change one, exo node NAME forget, exo node reset-identity there, and pair it again",
  );
}
