import type { Prompt } from "#protocol/generation";

/** Strings to ids and back, as the engine needs them; the text room provides it. */
export interface TextPort {
  /**
   * The prompt's token ids, through the chat template where it is a conversation. Throws Problem; `contextLength` for
   * text whose length alone says that it has more than `most` tokens, though not all such text is found here.
   */
  encode(prompt: Prompt, most?: number): readonly number[];
  /** All of the model's end tokens. */
  readonly endTokens: ReadonlySet<number>;
  /** A new answer's detokenizer: whole characters only. */
  detokenizer(): { push(id: number): string; flush(): string };
  /** One token by itself, for scores; `bytes` are UTF-8, maybe part of a character. */
  tokenText(id: number): { readonly text: string; readonly bytes: readonly number[] };
  /** Finds stop strings in streamed text and holds back what might begin one. */
  stops(strings: readonly string[]): {
    push(text: string): { readonly text: string; readonly stopped?: string };
    flush(): string;
  };
}
