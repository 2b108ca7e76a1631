/** All that is known of one model's text side, whatever files it came from. */
import type { TokenizerJson } from "./tokenizer-json.ts";

export interface TokenizerSource {
  readonly json: TokenizerJson;
  /** Tokens that end an answer. */
  readonly ends: readonly number[];
  /** Whether bare text is put between the first and the last token; absent: as the post-processor says. */
  readonly addBos?: boolean;
  readonly addEos?: boolean;
  /** The tokens that templates know by name: `bos_token`, `eos_token`, … */
  readonly names: Readonly<Record<string, string | undefined>>;
  /** Chat templates by name; `default` unless the model says otherwise. */
  readonly templates: Readonly<Record<string, string>>;
}
