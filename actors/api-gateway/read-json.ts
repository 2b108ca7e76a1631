/** A request's body as JSON: any Content-Type, the usual encodings, never more bytes, levels, values or time than allowed. */
import { Problem } from "#protocol/problem";
import { Fault } from "./dialects/fault.ts";
import { checkCarryable, checkShape } from "./json-shape.ts";
import { BODY_MS } from "./limits.ts";
import type { GatewayPorts } from "./ports.ts";

/** Two encodings on top of each other are odd, more are an attack. */
const ENCODINGS_MAX = 2;

interface Limits {
  /** After decoding. */
  readonly bytesMax: number;
  readonly after: GatewayPorts["after"];
}

/** Throws a Problem for a body that is too long, too slow, wrongly encoded, too deep or not JSON. */
export async function readJson(request: Request, { bytesMax, after }: Limits): Promise<unknown> {
  const sent = await inTime(readBytes(request, bytesMax), after);
  const plain = await decoded(sent, request.headers.get("content-encoding"), bytesMax);
  checkShape(plain);
  const text = new TextDecoder().decode(plain);
  if (text.trim() === "") throw new Fault("invalid_json", "the body is empty; a JSON object is expected");
  const json = parsed(text);
  checkCarryable(json);
  return loneSurrogate.test(text) ? wellFormed(json) : json;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Fault("invalid_json", `the body is not JSON: ${why}`);
  }
}

/** The total counts: a sender of one byte per second is never idle. */
async function inTime(reading: Promise<Uint8Array>, after: GatewayPorts["after"]): Promise<Uint8Array> {
  const late = Promise.withResolvers<never>();
  const cancelTimer = after(BODY_MS, () => late.reject(tooSlow()));
  reading.catch(() => {}); // nobody waits for it any more once it is late
  return Promise.race([reading, late.promise]).finally(cancelTimer);
}

const tooSlow = (): Fault =>
  new Fault("request_timeout", `the body did not come within ${BODY_MS / 1000} s`, {
    headers: { connection: "close" },
  });

async function readBytes(request: Request, bytesMax: number): Promise<Uint8Array> {
  if (Number(request.headers.get("content-length") ?? 0) > bytesMax) throw tooLarge(bytesMax);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of request.body ?? []) {
    size += chunk.length;
    if (size > bytesMax) throw tooLarge(bytesMax);
    chunks.push(chunk);
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks);
}

const tooLarge = (bytesMax: number): Problem =>
  new Problem("tooLarge", `the body is larger than the limit of ${bytesMax} bytes`);

/** https://www.rfc-editor.org/rfc/rfc9110#section-8.4: the last encoding named was applied last. */
async function decoded(bytes: Uint8Array, header: string | null, bytesMax: number): Promise<Uint8Array> {
  const encodings = (header ?? "")
    .toLowerCase()
    .split(",")
    .map((name) => name.trim());
  const applied = encodings.filter((name) => name !== "" && name !== "identity");
  if (applied.length > ENCODINGS_MAX) throw unknownEncoding(applied.join(", "));
  let plain = bytes;
  for (const encoding of applied.reverse()) plain = await decodedOnce(plain, encoding, bytesMax);
  return plain;
}

async function decodedOnce(bytes: Uint8Array, encoding: string, bytesMax: number): Promise<Uint8Array> {
  const zlib = await import("node:zlib");
  const decoders: Readonly<Record<string, Decoder>> = {
    gzip: zlib.gunzip,
    "x-gzip": zlib.gunzip,
    deflate: isZlib(bytes) ? zlib.inflate : zlib.inflateRaw,
    br: zlib.brotliDecompress,
    zstd: zlib.zstdDecompress,
  };
  const decode = Object.hasOwn(decoders, encoding) ? decoders[encoding] : undefined;
  if (!decode) throw unknownEncoding(encoding);
  return new Promise((resolve, reject) => {
    decode(bytes, { maxOutputLength: bytesMax }, (error, plain) => {
      if (!error) return resolve(plain);
      const full = "code" in error && error.code === "ERR_BUFFER_TOO_LARGE";
      reject(
        full
          ? tooLarge(bytesMax)
          : new Fault("invalid_value", `the body is not ${encoding}: ${error.message}`),
      );
    });
  });
}

type Decoder = (
  bytes: Uint8Array,
  options: { maxOutputLength: number },
  done: (error: Error | null, plain: Uint8Array) => void,
) => void;

/** "deflate" means the zlib format, but some send the bare one: https://www.rfc-editor.org/rfc/rfc1950#section-2.2 */
const isZlib = ([first = 0, second = 0]: Uint8Array): boolean =>
  (first & 0x0f) === 8 && ((first << 8) | second) % 31 === 0;

const unknownEncoding = (encoding: string): Fault =>
  new Fault("unsupported_encoding", `content-encoding "${encoding.slice(0, 60)}" is unknown`, {
    remedy: "use gzip, deflate, br, zstd or none",
  });

/** An escape of half a character; the raw bytes cannot hold one, the decoder has replaced it. */
const loneSurrogate = /\\u[dD][89a-fA-F]/;

/** The same JSON with half characters replaced by U+FFFD: no tokenizer or wire format takes them. */
function wellFormed(value: unknown): unknown {
  if (typeof value === "string") return value.toWellFormed();
  if (Array.isArray(value)) return value.map(wellFormed);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key.toWellFormed(), wellFormed(item)]),
  );
}
