/** One machine takes a model's files, or the parts of them that it needs, from another that has them: on a file link of its own. */
import { type Static, Type as t } from "@sinclair/typebox";
import { type InboxMessage, inbox } from "./message.ts";
import { ProblemBody } from "./problem.ts";

/** More files than any model has. */
export const COPIED_FILES_MAX = 2048;
/** Read and sent at once: enough to keep a disk and a line busy, little enough that a slow line shows that it moves. */
export const COPIED_PART_BYTES = 1024 * 1024;

const bytes = t.Integer({ minimum: 0, maximum: Number.MAX_SAFE_INTEGER });
const file = t.Integer({ minimum: 0, maximum: COPIED_FILES_MAX - 1 });
/** SHA-256 in hex. */
const hash = t.String({ minLength: 64, maxLength: 64 });

/** A file of a model, all in one folder. */
export const CopiedFile = t.Object({
  name: t.String({ minLength: 1, maxLength: 255 }),
  bytes,
  /** So many of the first are needed by whoever holds a part: the header of weights, all of other files. */
  headBytes: bytes,
  /** Of these: files of one size may have their tensors in another order. Older machines leave it out. */
  headHash: t.Optional(hash),
});
export type CopiedFile = Static<typeof CopiedFile>;

/** Of a checkpoint, in the order in which its digest has them. */
export const DigestParts = t.Object({ config: hash, tensors: hash, tokenizer: hash, weights: hash });
export type DigestParts = Static<typeof DigestParts>;

/** The actor `<NodeId>/files` of each member, on file links only. */
export const Copying = inbox("Copying", {
  /** The first on a link: what lies there under that name, if it has that digest. Answered by `Files` or `Refused`. */
  Open: { model: t.String({ minLength: 1, maxLength: 4096 }), digest: t.String({ maxLength: 128 }) },
  /** `file` counts the files of that answer. Answered by `Part` with the bytes, in any order, or by `Refused`. */
  Read: { file, offset: bytes, length: t.Integer({ minimum: 1, maximum: COPIED_PART_BYTES }) },
});
export type CopyingMessage = InboxMessage<typeof Copying>;

export const CopyingReply = inbox("CopyingReply", {
  Files: {
    files: t.Array(CopiedFile, { minItems: 1, maxItems: COPIED_FILES_MAX }),
    /** Whose hash is the digest: by these a part of the model is compared with what was asked for. Older machines leave them out. */
    parts: t.Optional(DigestParts),
  },
  /** With its bytes as body; `hash` is theirs, as the sender read them. */
  Part: { file, offset: bytes, hash },
  Refused: { problem: ProblemBody },
});
export type CopyingReply = InboxMessage<typeof CopyingReply>;
