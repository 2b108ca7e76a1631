/** Reads one message: an editable line on a raw terminal, redrawn in place. */
import type { Terminal } from "../terminal/terminal.ts";
import type { History } from "./history.ts";
import type { Key, KeyName } from "./keys.ts";
import * as typed from "./line.ts";
import { Screen } from "./screen.ts";

export type Entered =
  | { readonly type: "message"; readonly text: string }
  /** Ctrl-D, or Ctrl-C twice at an empty prompt. */
  | { readonly type: "leave" };

export interface PromptPorts {
  readonly terminal: Terminal;
  readonly history: History;
  /** The next key; undefined when stdin is closed. */
  readonly nextKey: () => Promise<Key | undefined>;
  /** What Tab offers for the text so far. */
  readonly complete: (text: string) => readonly string[];
}

const FIRST = ">>> ";
const BLOCK = '"""';

/** One message typed by the user. */
export async function readMessage(ports: PromptPorts): Promise<Entered> {
  return await new Prompt(ports).read();
}

class Prompt {
  readonly #ports: PromptPorts;
  readonly #screen: Screen;
  #line: typed.Line = typed.emptyLine;
  /** Index into history; its length is the line being written. */
  #past: number;
  #draft = typed.emptyLine;
  #killed = "";
  #warned = false;
  #search: { query: string; found: number } | undefined;

  constructor(ports: PromptPorts) {
    this.#ports = ports;
    this.#screen = new Screen(ports.terminal);
    this.#past = ports.history.entries.length;
  }

  async read(): Promise<Entered> {
    this.#screen.draw(this.#line, FIRST);
    for (;;) {
      const key = await this.#ports.nextKey();
      if (key === undefined) return this.#leave();
      const entered = this.#search ? this.#searched(key) : this.#pressed(key);
      if (entered) return entered;
      if (this.#search) this.#screen.draw(this.#line, `(search \`${this.#search.query}\`) `);
      else this.#screen.draw(this.#line, FIRST);
    }
  }

  #pressed(key: Key): Entered | undefined {
    if (key.type !== "key") {
      this.#line = typed.inserted(this.#line, key.text);
      return undefined;
    }
    if (key.name !== "interrupt") this.#warned = false;
    switch (key.name) {
      case "enter":
        return this.#enter();
      case "interrupt":
        return this.#interrupt();
      case "endOfFile":
        if (this.#line.text === "") return this.#leave();
        this.#line = typed.without(this.#line, this.#line.cursor, typed.after(this.#line));
        return undefined;
      case "clearScreen":
        this.#screen.clear();
        return undefined;
      case "search":
        this.#search = { query: "", found: this.#ports.history.entries.length };
        return undefined;
      case "tab":
        this.#complete();
        return undefined;
      default:
        this.#line = this.#edited(key.name);
        return undefined;
    }
  }

  /** An open `"""` block takes lines until it is closed; else the line is the message. */
  #enter(): Entered | undefined {
    const { text } = this.#line;
    const quotes = text.split(BLOCK).length - 1;
    if (text.trimStart().startsWith(BLOCK) && quotes === 1) {
      this.#line = typed.inserted(typed.lineOf(text), "\n");
      return undefined;
    }
    this.#screen.leave(this.#line, FIRST);
    const block = /^\s*"""\n?([\s\S]*?)\n?"""\s*$/.exec(text);
    return { type: "message", text: block ? (block[1] ?? "") : text };
  }

  #interrupt(): Entered | undefined {
    const { text } = this.#line;
    if (text === "" && this.#warned) return this.#leave();
    this.#screen.leave(this.#line, FIRST);
    this.#line = typed.emptyLine;
    this.#past = this.#ports.history.entries.length;
    if (text === "") {
      const { terminal } = this.#ports;
      terminal.out(`${terminal.outStyle("dim", "Ctrl-C again or Ctrl-D leaves")}\n`);
      this.#warned = true;
    }
    return undefined;
  }

  #leave(): Entered {
    this.#screen.leave(this.#line, FIRST);
    return { type: "leave" };
  }

  #edited(name: KeyName): typed.Line {
    const line = this.#line;
    const moves: Partial<Record<KeyName, () => number>> = {
      left: () => typed.before(line),
      right: () => typed.after(line),
      wordLeft: () => typed.wordBefore(line),
      wordRight: () => typed.wordAfter(line),
      home: () => typed.rowStart(line),
      end: () => typed.rowEnd(line),
    };
    const move = moves[name];
    if (move) return typed.moved(line, move());
    switch (name) {
      case "newline":
        return typed.inserted(line, "\n");
      case "backspace":
        return typed.without(line, typed.before(line), line.cursor);
      case "delete":
        return typed.moved(typed.without(line, line.cursor, typed.after(line)), line.cursor);
      case "killToEnd":
        return this.#kill(line.cursor, typed.rowEnd(line));
      case "killToStart":
        return this.#kill(typed.rowStart(line), line.cursor);
      case "killWord":
        return this.#kill(typed.wordBefore(line), line.cursor);
      case "yank":
        return typed.inserted(line, this.#killed);
      case "up":
        return typed.rowMoved(line, -1) ?? this.#recalled(-1);
      case "down":
        return typed.rowMoved(line, 1) ?? this.#recalled(1);
      default:
        return line;
    }
  }

  #kill(start: number, end: number): typed.Line {
    if (end > start) this.#killed = this.#line.text.slice(start, end);
    return typed.without(this.#line, start, end);
  }

  #recalled(by: -1 | 1): typed.Line {
    const { entries } = this.#ports.history;
    const next = this.#past + by;
    if (next < 0 || next > entries.length) return this.#line;
    if (this.#past === entries.length) this.#draft = this.#line;
    this.#past = next;
    return next === entries.length ? this.#draft : typed.lineOf(entries[next] ?? "");
  }

  /** Typing narrows, Ctrl-R goes further back, Enter takes, Escape and Ctrl-C leave the search. */
  #searched(key: Key): Entered | undefined {
    const search = this.#search;
    if (!search) return undefined;
    const { entries } = this.#ports.history;
    if (key.type === "text") return this.#find(search.query + key.text, entries.length);
    if (key.type === "key" && key.name === "search") return this.#find(search.query, search.found);
    if (key.type === "key" && key.name === "backspace")
      return this.#find(search.query.slice(0, -1), entries.length);
    this.#search = undefined;
    if (key.type === "key" && (key.name === "interrupt" || key.name === "escape")) {
      this.#line = typed.emptyLine;
      return undefined;
    }
    return key.type === "key" && key.name === "enter" ? undefined : this.#pressed(key);
  }

  #find(query: string, beforeIndex: number): undefined {
    const { entries } = this.#ports.history;
    const found = entries.findLastIndex((entry, index) => index < beforeIndex && entry.includes(query));
    this.#search = { query, found: found < 0 ? beforeIndex : found };
    if (found >= 0) this.#line = typed.lineOf(entries[found] ?? "");
    return undefined;
  }

  #complete(): void {
    const { text, cursor } = this.#line;
    if (cursor !== text.length) return;
    const found = this.#ports.complete(text);
    if (found.length === 1) this.#line = typed.lineOf(`${found[0]} `);
    else if (found.length > 1) {
      this.#screen.leave(this.#line, FIRST);
      this.#ports.terminal.out(`${found.join("  ")}\n`);
    }
  }
}
