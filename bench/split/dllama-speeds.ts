/** Reads what distributed-llama prints at the end of `inference`: tokens per second of the prompt, and of the answer. */
export function dllamaSpeeds(printed: string): { readonly prefill: number; readonly decode: number } {
  const after = (title: string) => {
    const found = new RegExp(`^${title}$[\\s\\S]*?tokens/s:\\s*([\\d.]+)`, "m").exec(printed)?.[1];
    if (found === undefined)
      throw new Error(`distributed-llama told no speed of its ${title}: ${printed.slice(-400)}`);
    return Number(found);
  };
  return { prefill: after("Evaluation"), decode: after("Prediction") };
}
