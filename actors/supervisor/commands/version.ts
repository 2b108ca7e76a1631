/** `exo version` with flags; without any it is answered before this is loaded. */
import { printJson, type Session } from "../session.ts";

export async function version(session: Session): Promise<void> {
  const { version, commit, library } = session.build;
  const platform = `${process.platform}-${process.arch}`;
  if (session.json) return printJson(session, "version", { version, commit, platform, bun: Bun.version });
  session.terminal.out(`exo ${version} (${commit})\n`);
  if (session.verbose)
    session.terminal.out(
      `${platform}, Bun ${Bun.version}, library ${library?.hash ?? "of the source tree"}\n`,
    );
}
