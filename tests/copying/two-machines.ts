/** For tests: a model of some size, and a link between two machines that a test can break. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Link } from "#actors/runtime/transport/network";
import type { Envelope } from "#protocol/codec";
import type { CopyingReply } from "#protocol/copying";
import type { NodeId } from "#protocol/ids";

export const MIB = 2 ** 20;
const LAYERS = 4;
const HIDDEN = 512;
export const [ADA, BOB, CID] = ["ada" as NodeId, "bob" as NodeId, "cid" as NodeId];

/** A llama of which each layer takes several parts, in a file of safetensors whose bytes are their own places. */
export function written(folder: string): string {
  const config = {
    model_type: "llama",
    vocab_size: 512,
    hidden_size: HIDDEN,
    intermediate_size: 1024,
    num_hidden_layers: LAYERS,
    num_attention_heads: 8,
    num_key_value_heads: 8,
    rms_norm_eps: 1e-5,
    tie_word_embeddings: true,
  };
  const shapes: [string, number[]][] = [["model.embed_tokens.weight", [512, HIDDEN]]];
  for (let layer = 0; layer < LAYERS; layer++) {
    const name = (part: string) => `model.layers.${layer}.${part}.weight`;
    for (const part of ["q", "k", "v", "o"]) shapes.push([name(`self_attn.${part}_proj`), [HIDDEN, HIDDEN]]);
    for (const part of ["gate", "up"]) shapes.push([name(`mlp.${part}_proj`), [1024, HIDDEN]]);
    shapes.push([name("mlp.down_proj"), [HIDDEN, 1024]]);
    for (const part of ["input", "post_attention"]) shapes.push([name(`${part}_layernorm`), [HIDDEN]]);
  }
  shapes.push(["model.norm.weight", [HIDDEN]]);
  let offset = 0;
  const entries = shapes.map(([name, shape]) => {
    const start = offset;
    offset += 4 * shape.reduce((size, each) => size * each, 1);
    return [name, { dtype: "F32", shape, data_offsets: [start, offset] }];
  });
  const header = Buffer.from(JSON.stringify(Object.fromEntries(entries)).padEnd(16_376));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = new Uint32Array(offset / 4).map((_, i) => Math.imul(i, 2_654_435_761));
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify(config));
  writeFileSync(join(folder, "tokenizer.json"), "{}");
  writeFileSync(join(folder, "model.safetensors"), Buffer.concat([length, header, Buffer.from(data.buffer)]));
  return folder;
}

/** What a test does with each part on its way: the bytes that arrive, or undefined to break the link there. */
export type Way = (
  part: { readonly file: number; readonly offset: number },
  bytes: Uint8Array,
) => Uint8Array | undefined;

/** The two ends of one link; everything arrives a moment later. */
export function linkOf(way: Way): readonly [Link, Link] {
  let isOpen = true;
  const end = (node: NodeId, other: () => Link): Link => ({
    peer: { node, boot: "", minor: 0, capabilities: [] },
    lane: "file",
    remote: { host: "", port: 0 },
    dialled: true,
    waitingBytes: 0,
    onReceive: () => {},
    onBody: () => {},
    onClose: () => {},
    onDrain: () => {},
    pause: () => {},
    resume: () => {},
    send(envelope) {
      if (isOpen) queueMicrotask(() => other().onReceive(envelope));
      return isOpen;
    },
    sendBody(envelope, body) {
      const arrives = way(envelope.message as unknown as Parameters<Way>[0], body);
      if (!arrives) this.close();
      else queueMicrotask(() => other().onBody(envelope, arrives));
      return isOpen;
    },
    close() {
      if (!isOpen) return;
      isOpen = false;
      queueMicrotask(() => {
        near.onClose("it was closed");
        far.onClose("it was closed");
      });
    },
  });
  const near: Link = end(ADA, () => far);
  const far: Link = end(BOB, () => near);
  return [near, far];
}

/** Which MiB of the weights are on their way. */
export const counting =
  (read: Set<number>): Way =>
  ({ offset }, bytes) => {
    if (bytes.length > 1e4) read.add(offset / MIB);
    return bytes;
  };

/** A source that answers whatever the test says. */
export const lying =
  (answer: (envelope: Envelope) => CopyingReply) =>
  (link: Link): void => {
    link.onReceive = (envelope) =>
      void link.send({ to: envelope.from, from: envelope.to, message: answer(envelope) });
  };
