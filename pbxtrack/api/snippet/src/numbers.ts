/** Finds the company's numbers and addresses in a text, however they are written, and writes the leased ones so. */

import { email, numbers, type Parts } from "./site";

/** What is shown instead. */
export interface Shown {
  number: string | null;
  display: string | null;
  email: string | null;
}

/** A piece of a text, and what it is to be. */
export type Change = [start: number, end: number, piece: string];

/** Where a text node ends, in the text of several. */
export const EDGE = "\x01";

// What may stand between two digits of a number: white space of any kind, brackets, dots, dashes.
const GAP = `[\\s().\\-/\u200b-\u2015\u2212${EDGE}]*`;
// A digit before or after, or one behind a sign that joins, belongs to a longer number; a letter or one of some signs
// belongs to an address or an order's number. Without its prefix a number can also be the end of a foreign one.
const JOINT = `[^\\s,;:/${EDGE}]?`;
const BEFORE = `(?:[a-z_=#№@]/?|\\d${JOINT}|\\+\\s*`;
const BEFORE_PREFIX = RegExp(BEFORE + ")$", "i");
const BEFORE_AREA = RegExp(`${BEFORE}|\\+\\d*${GAP}|(?:^|[^:])\\b\\d+[\\s(]*)$`, "i");
const AFTER = `(?!${JOINT}\\d|/\\d\\d|[\\w@])`;

// A pattern's first group is a number's prefix, or what makes an address another one.
const targets: [pattern: RegExp, parts?: Parts][] = [];
let shown: Shown;
let hints = /@/;

/** Whether a text can have anything for us: most have not, and this is quick. */
export const promising = (text: string | null): boolean => hints.test(text!);

const seekNumber = (parts: Parts): void => {
  const [country, trunk, national] = parts;
  const prefix = `(?:\\+${GAP}|00)?${country}${GAP}(?:\\(${trunk}\\)${GAP})?${trunk && `|${trunk}${GAP}`}`;
  targets.push([RegExp(`(${prefix})?\\(?${[...national].join(GAP)}${AFTER}`, "g"), parts]);
  hints = RegExp(hints.source + "|" + [...national].join("\\D*"));
};

const seekEmail = (address: string): void => {
  targets.push([RegExp(`([\\w.+%-]?)[${[...address].join(`]${EDGE}?[`)}](?![\\w@-]|\\.\\w)`, "gi")]);
};

numbers.forEach(seekNumber);
if (email) seekEmail(email);

/** From now on show this. It is looked for too, for the day when something else is to be shown. */
export const aim = (next: Shown): void => {
  shown = next;
  const [own] = numbers;
  if (own && next.number) seekNumber([own[0], own[1], next.number.slice(1 + own[0].length)]);
  if (next.email) seekEmail(next.email);
};

/** The leased number as the found one is written; as `display` where it does not fit that form. */
const alike = (found: string, prefix: string, [country, , national]: Parts): string => {
  const { number, display } = shown as { number: string; display: string };
  const fresh = number.slice(1 + country.length);
  const code = fresh.slice(0, /\d+/.exec(found.slice(prefix.length))![0].length);
  let at = national.length - found.replace(/\D/g, "").length;
  return number.indexOf(country) != 1 ||
    fresh.length != national.length ||
    (code.length < 6 && national.indexOf(code) && !display.split(/\D/).includes(code))
    ? display
    : found.replace(/\d/g, (digit) => (at++ < 0 ? digit : fresh[at - 1]));
};

/** What is to be changed in a text, the last piece first. */
export const find = (text: string): Change[] => {
  const changes: Change[] = [];
  for (const [pattern, parts] of targets)
    // As a loop over matches; what it would give is not wanted.
    text.replace(pattern, (found: string, first = "", start: number): any => {
      const before = text.slice(0, start).slice(-20);
      const piece = parts
        ? shown.number && !(first ? BEFORE_PREFIX : BEFORE_AREA).test(before) && alike(found, first, parts)
        : !first && shown.email;
      if (piece && piece != found) changes.push([start, start + found.length, piece]);
    });
  return changes.sort((one, other) => other[0] - one[0]);
};
