/** Pieces of the page: tables that a screen reader can walk, figures with their numbers beside them. */
import { escaped } from "./svg.ts";

export interface Table {
  readonly caption?: string;
  readonly headers: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** The first cell of each row names it. */
export function tableOf({ caption, headers, rows }: Table): string {
  const head = headers.map((text) => `<th scope="col">${escaped(text)}</th>`).join("");
  const body = rows.map(([first = "", ...rest]) => {
    const cells = rest.map((text) => `<td${classOf(text)}>${escaped(text)}</td>`).join("");
    return `<tr><th scope="row">${escaped(first)}</th>${cells}</tr>`;
  });
  const title = caption === undefined ? "" : `<caption>${escaped(caption)}</caption>`;
  return `<div class="scroll" tabindex="0" role="group" aria-label="${escaped(caption ?? "table")}"><table>${title}<thead><tr>${head}</tr></thead><tbody>${body.join("")}</tbody></table></div>`;
}

/** Changes are marked by a sign and a word; the colour only repeats them. */
function classOf(text: string): string {
  if (/ ✓$|^better$/.test(text)) return ' class="good"';
  if (/ ✗$|^worse$|noisy$/.test(text)) return ' class="bad"';
  return "";
}

/** A picture, and for who cannot see it or wants to know exactly, its numbers. */
export const figure = (title: string, svg: string, numbers?: Table): string =>
  `<figure><figcaption>${escaped(title)}</figcaption>${svg}${
    numbers
      ? `<details><summary>the numbers</summary>${tableOf({ caption: title, ...numbers })}</details>`
      : ""
  }</figure>`;

export const section = (title: string, parts: readonly string[]): string => {
  const shown = parts.filter((part) => part !== "");
  return shown.length === 0 ? "" : `<section><h2>${escaped(title)}</h2>${shown.join("")}</section>`;
};

export const list = (lines: readonly string[], label: string, kind = "notes"): string =>
  lines.length === 0
    ? ""
    : `<ul class="${kind}" aria-label="${escaped(label)}">${lines.map((text) => `<li>${escaped(text)}</li>`).join("")}</ul>`;

/** Which shade is which. */
export const legend = (entries: readonly (readonly [kind: string, text: string])[]): string =>
  `<p class="legend" aria-hidden="true">${entries.map(([kind, text]) => `<span><i class="${kind}"></i>${escaped(text)}</span>`).join("")}</p>`;
