/** Finds the company's numbers and addresses in a text, however they are written, and writes the leased ones so. */

import { email, numbers, type Parts } from "./site";

/** What is shown instead. */
export interface Shown {
  number: string | null;
  display: string | null;
  email: string | null;
}

/** Where a text node ends, in the text of several. No page has this character in a text: parsers take it out. */
export const EDGE = "\0";

// What may stand between two digits of a number: white space of any kind, brackets, dots, dashes.
const GAP = `[\\s().\\-/\u200b-\u2015\u2212${EDGE}]*`;
// A digit before or after, or one behind a sign that joins, belongs to a longer number; a letter or one of some signs
// belongs to an address or an order's number. Without its prefix a number can also be the end of a foreign one.
const JOINT = `[^\\s,;:/${EDGE}]?`;
// That is what ~ stands for here.
const BEFORE = RegExp(
  `(?:[a-z_=#@][-/]?|№\\s*|\\d${JOINT}|\\+\\d{0,3}${GAP}|(?:^|[^:])\\b\\d+[\\s(]*~)~?$`,
  "i",
);

// A pattern's first group is a number's prefix, or what makes an address another one.
const targets: [pattern: RegExp, parts?: Parts][] = [];
let shown: Shown;
let hints = /@/;

/** The digits that are in each of the numbers. */
export let common = "0123456789";

/** Whether a text can have anything for us: most have not, and this is quick. */
export const promising = (text: string | null): boolean => hints.test(text!);

const seekNumber = (parts: Parts): void => {
  const [country, trunk, national] = parts;
  const prefix = `(?:\\+${GAP}|00)?${country}${GAP}(?:${trunk}${GAP})?|${trunk || country}${GAP}`;
  targets.push([RegExp(`(${prefix})?\\(?${[...national].join(GAP)}(?!${JOINT}\\d|/\\d\\d|[\\w@])`, "g"), parts]);
  common = common.replace(RegExp(`[^${national}]`, "g"), "");
  hints = RegExp(hints.source + "|" + [...national].join("\\D*"));
};

const seekEmail = (address: string | null): unknown =>
  address &&
  targets.push([RegExp(`([\\w.+%-]?)${address.replace(/\W/g, "\\$&")}(?![\\w@-]|\\.\\w)`, "gi")]);

numbers.forEach(seekNumber);

/** From now on show this. What was shown before is looked for too. */
export const aim = (next: Shown): void => {
  if (shown) {
    if (shown.number)
      for (const [country, trunk] of numbers.slice(0, 1))
        seekNumber([country, trunk, shown.number.slice(1 + country.length)]);
    seekEmail(shown.email);
  }
  if (next.email != email) seekEmail(email);
  shown = next;
};

/** The leased number as the found one is written; as `display` where it does not fit that form. */
const alike = (found: string, prefix: string, [country, , national]: Parts): string | null => {
  const { number, display } = shown as { number: string; display: string };
  const fresh = number.slice(1 + country.length);
  const code = fresh.slice(0, /\d+/.exec(found.slice(prefix.length))![0].length);
  let at = national.length - found.replace(/\D/g, "").length;
  return number.indexOf(country) != 1 ||
    fresh.length != national.length ||
    (!code[5] && national.indexOf(code) && !display.split(/\D/).includes(code))
    ? display + found.replace(/[^\0]/g, "")
    : found.replace(/\d/g, (digit) => fresh[at++] || digit);
};

/** The text with what is to be shown. It has as many edges as it had. */
export const swapped = (text: string): string => {
  if (promising(text))
    for (const [pattern, parts] of targets)
      text = text.replace(
        pattern,
        (found: string, first = "", start: number, all: string) =>
          (parts
            ? shown.number &&
              !BEFORE.test(all.slice(0, start).slice(-9) + (first ? "" : "~")) &&
              alike(found, first, parts)
            : !first && shown.email) || found,
      );
  return text;
};
