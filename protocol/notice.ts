/** What a machine that proved its key hears instead of hello, where it gets no link: as bytes. */
import { encode } from "@msgpack/msgpack";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { NOTICE_BYTES_MAX, Notice } from "./cluster.ts";
import { ProtocolError } from "./message.ts";
import { readMsgpack } from "./msgpack.ts";

const check = TypeCompiler.Compile(Notice);

export const encodeNotice = (notice: Notice): Uint8Array => encode(notice, { ignoreUndefined: true });

/** Throws ProtocolError for anything else. */
export function decodeNotice(bytes: Uint8Array): Notice {
  if (bytes.length > NOTICE_BYTES_MAX)
    throw new ProtocolError(`a notice of ${bytes.length} bytes is too long`);
  const value = readMsgpack(bytes);
  if (check.Check(value)) return value;
  throw new ProtocolError("what came instead of hello is no notice");
}
