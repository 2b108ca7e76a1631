/** `exo show`: what a model is, from its own files, and from the worker where one holds it. */
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { findDaemon } from "../daemon.ts";
import { modelAt, storedModels } from "../models.ts";
import { printJson, type Session } from "../session.ts";
import { shownBytes } from "../terminal/table.ts";

export async function show(session: Session, model: string): Promise<void> {
  const { name, path, reference } = await modelAt(session, model, false);
  const stored = (await storedModels(session)).find((each) => each.path === path);
  const held = await heldAt(session, path);
  const facts = held?.facts;
  const about = {
    model: name,
    reference,
    path,
    ...(stored && { format: stored.format, bytes: stored.bytes, quantisation: stored.quantisation }),
    ...(stored?.architecture !== undefined && { architecture: stored.architecture }),
    ...facts,
    loaded: held !== undefined,
  };
  if (session.json) return printJson(session, "show", about);
  const lines = Object.entries(about).map(([key, value]) => [WORDS[key] ?? key, shown(key, value)] as const);
  const width = Math.max(...lines.map(([key]) => key.length));
  session.terminal.out(lines.map(([key, value]) => `${key.padEnd(width)}  ${value}\n`).join(""));
}

const WORDS: Readonly<Record<string, string>> = {
  bytes: "size",
  contextLength: "context",
  vocabularySize: "vocabulary",
  weightBytes: "in memory",
  loadMs: "loaded in",
};

function shown(key: string, value: unknown): string {
  if (key === "bytes" || key === "weightBytes") return shownBytes(Number(value));
  if (key === "loadMs") return `${(Number(value) / 1000).toFixed(1)} s`;
  return typeof value === "boolean" ? (value ? "yes" : "no") : String(value);
}

/** A model's files say enough without a daemon; one that does not answer is no reason to fail. */
async function heldAt(session: Session, path: string): Promise<ModelState | undefined> {
  const daemon = await findDaemon(session);
  if (!daemon) return undefined;
  try {
    const { models } = await daemon.get<{ models: readonly ModelState[] }>("/exo/v1/ps", session.signal);
    return models.find((each) => each.path === path);
  } catch (error) {
    if (error instanceof Problem) return undefined;
    throw error;
  }
}
