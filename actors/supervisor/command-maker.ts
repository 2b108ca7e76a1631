/** How a command is declared: its signature, its flags, and what it does. */
import type { Command } from "commander";
import type { Session } from "./session.ts";

export type Argument = string | readonly string[] | undefined;
/** The flags of one command as commander read them; each command's own file says which it has. */
// biome-ignore lint/suspicious/noExplicitAny: commander types no options; each command declares the shape it reads.
export type CommandFlags = any;
export type Act = (session: Session, given: readonly Argument[], flags: CommandFlags) => Promise<void>;
export interface Made {
  readonly command: Command;
  does(act: Act): void;
}
export type Make = (signature: string, description: string) => Made;
