/** `exo show`: what a model is, from its own files, and from the worker where one holds it. */
import { dirname } from "node:path";
import { Problem } from "#protocol/problem";
import type { ModelState } from "#protocol/supervisor";
import { findDaemon } from "../daemon/daemon.ts";
import { modelAt, storedModels } from "../node/models.ts";
import { printJson, type Session } from "../session.ts";
import { cell } from "../terminal/node-words.ts";
import { shownBytes } from "../terminal/table.ts";

export async function show(session: Session, model: string): Promise<void> {
  const { readCheckpoint } = await import("#actors/shard-worker/weights/checkpoint");
  const { originIn } = await import("#actors/shard-worker/weights/origin");
  const { name, path, reference } = await modelAt(session, model, false);
  const stored = (await storedModels(session)).find((each) => each.path === path);
  const held = await heldAt(session, path);
  const origin = await originIn(path.endsWith(".gguf") ? dirname(path) : path);
  const { config, facts } = readCheckpoint(path);
  const fields: Readonly<Record<string, unknown>> = config;
  const about = {
    model: name,
    reference,
    path,
    ...(stored && { format: stored.format, bytes: stored.bytes }),
    ...(origin && { fetchedFrom: origin.machines }),
    architecture: fields.model_type,
    layers: fields.num_hidden_layers,
    hiddenSize: fields.hidden_size,
    contextLength: fields.max_position_embeddings,
    vocabularySize: fields.vocab_size,
    quantisation: facts.quantisation,
    tensors: facts.tensors,
    weightBytes: facts.weightBytes,
    loaded: held === undefined ? "no" : held.state,
  };
  if (session.json) return printJson(session, "show", { ...about, loaded: held !== undefined });
  const lines = Object.entries(about).filter(([, value]) => value !== undefined);
  const labels = lines.map(([key]) => LABELS[key] ?? key);
  const width = Math.max(...labels.map((label) => label.length));
  const shownLines = lines.map(
    ([key, value], index) => `${(labels[index] ?? key).padEnd(width)}  ${shown(key, value)}\n`,
  );
  session.terminal.out(shownLines.join(""));
}

const LABELS: Readonly<Record<string, string>> = {
  bytes: "size",
  fetchedFrom: "fetched from",
  hiddenSize: "hidden size",
  contextLength: "context",
  vocabularySize: "vocabulary",
  weightBytes: "in memory",
};

/** Names of other machines, and what a model's files say, are others' words. */
function shown(key: string, value: unknown): string {
  if (Array.isArray(value)) return `${value.map((each) => cell(String(each))).join(", ")}, of this home`;
  return key === "bytes" || key === "weightBytes" ? shownBytes(Number(value)) : cell(String(value));
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
