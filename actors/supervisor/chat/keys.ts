/** What a terminal in raw mode sends, as keys. Sequences: https://invisible-island.net/xterm/ctlseqs/ctlseqs.html. */

export type Key =
  | { readonly type: "text"; readonly text: string }
  /** Bracketed paste: one text, whatever is in it. */
  | { readonly type: "paste"; readonly text: string }
  | { readonly type: "key"; readonly name: KeyName };

export type KeyName =
  | "enter"
  | "newline"
  | "backspace"
  | "delete"
  | "left"
  | "right"
  | "wordLeft"
  | "wordRight"
  | "up"
  | "down"
  | "home"
  | "end"
  | "killToEnd"
  | "killToStart"
  | "killWord"
  | "yank"
  | "interrupt"
  | "endOfFile"
  | "clearScreen"
  | "search"
  | "escape"
  | "tab";

export const PASTE_ON = "\x1b[?2004h";
export const PASTE_OFF = "\x1b[?2004l";
const PASTE_START = "\x1b[200~";
const PASTE_END = "\x1b[201~";

const CONTROLS: Readonly<Record<string, KeyName>> = {
  "\r": "enter",
  "\n": "newline",
  "\t": "tab",
  "\x7f": "backspace",
  "\b": "backspace",
  "\x01": "home",
  "\x02": "left",
  "\x03": "interrupt",
  "\x04": "endOfFile",
  "\x05": "end",
  "\x06": "right",
  "\x0b": "killToEnd",
  "\x0c": "clearScreen",
  "\x0e": "down",
  "\x10": "up",
  "\x12": "search",
  "\x15": "killToStart",
  "\x17": "killWord",
  "\x19": "yank",
};

const SEQUENCES: Readonly<Record<string, KeyName>> = {
  "\x1b[A": "up",
  "\x1b[B": "down",
  "\x1b[C": "right",
  "\x1b[D": "left",
  "\x1bOA": "up",
  "\x1bOB": "down",
  "\x1bOC": "right",
  "\x1bOD": "left",
  "\x1b[H": "home",
  "\x1b[F": "end",
  "\x1bOH": "home",
  "\x1bOF": "end",
  "\x1b[1~": "home",
  "\x1b[4~": "end",
  "\x1b[7~": "home",
  "\x1b[8~": "end",
  "\x1b[3~": "delete",
  "\x1b[1;5C": "wordRight",
  "\x1b[1;5D": "wordLeft",
  "\x1b[1;3C": "wordRight",
  "\x1b[1;3D": "wordLeft",
  "\x1bf": "wordRight",
  "\x1bb": "wordLeft",
  "\x1b\r": "newline",
  "\x1b\n": "newline",
  "\x1b\x7f": "killWord",
};

/** A lone escape may be the start of a sequence whose rest has not come; a terminal sends it within this. */
export const ESCAPE_WAIT_MS = 40;
/** A paste without end would gather for ever. */
const PASTE_MAX = 1 << 24;

/** Gathers bytes into keys; what may still grow is kept. */
export class KeyReader {
  readonly #decoder = new TextDecoder();
  #rest = "";

  /** Keys that are complete now. */
  push(bytes: Uint8Array): readonly Key[] {
    this.#rest += this.#decoder.decode(bytes, { stream: true });
    return this.#taken();
  }

  /** True while an escape waits for its rest: after ESCAPE_WAIT_MS call `settle`. */
  get waits(): boolean {
    return this.#rest.startsWith("\x1b") && !this.#rest.startsWith(PASTE_START);
  }

  /** Nothing more came: a lone escape is the key itself, a strange sequence is dropped. */
  settle(): readonly Key[] {
    const lone = this.#rest === "\x1b";
    this.#rest = "";
    return lone ? [{ type: "key", name: "escape" }] : [];
  }

  #taken(): readonly Key[] {
    const keys: Key[] = [];
    for (;;) {
      const key = this.#next();
      if (key === undefined) return keys;
      if (key !== "ignored") keys.push(key);
    }
  }

  #next(): Key | "ignored" | undefined {
    const rest = this.#rest;
    if (rest === "") return undefined;
    if (rest.startsWith(PASTE_START)) return this.#paste();
    if (rest.startsWith("\x1b")) return this.#sequence();
    const control = CONTROLS[rest.charAt(0)];
    if (control) return this.#take(1, { type: "key", name: control });
    const [text = ""] = /^[^\p{Cc}]+/u.exec(rest) ?? [];
    return text === "" ? this.#take(1, "ignored") : this.#take(text.length, { type: "text", text });
  }

  #paste(): Key | undefined {
    const end = this.#rest.indexOf(PASTE_END);
    if (end < 0 && this.#rest.length < PASTE_MAX) return undefined;
    const last = end < 0 ? this.#rest.length : end;
    const text = this.#rest.slice(PASTE_START.length, last).replaceAll(/\r\n?/g, "\n");
    return this.#take(last + PASTE_END.length, {
      type: "paste",
      text: text.replaceAll(/(?![\t\n])\p{Cc}/gu, ""),
    });
  }

  /** The longest known sequence, else one of unknown meaning is dropped whole. */
  #sequence(): Key | "ignored" | undefined {
    const [sequence] = SEQUENCE.exec(this.#rest) ?? [];
    if (sequence === undefined) return undefined;
    const name = SEQUENCES[sequence];
    return this.#take(sequence.length, name ? { type: "key", name } : "ignored");
  }

  #take<T>(length: number, key: T): T {
    this.#rest = this.#rest.slice(length);
    return key;
  }
}

const ESC = String.fromCharCode(0x1b);
/** CSI with its parameters, SS3 with its letter, or escape and one character (Alt). */
const SEQUENCE = new RegExp(`^${ESC}(?:\\[[0-9;?]*[ -/]*[@-~]|O[A-Za-z]|[^\\[O])`);
