/** What the browser keeps of the visitor: in a cookie and in its storage, where it does not refuse. */

import { key } from "./site";

const PLACE = "pbxtrack" + key;
const YEAR = 31_536_000; // seconds

export const read = <T>(): Partial<T> => {
  try {
    return JSON.parse(localStorage[PLACE]);
  } catch {
    return {};
  }
};

export const write = (value: unknown): void => {
  try {
    localStorage[PLACE] = JSON.stringify(value);
  } catch {
    // Refused, or full.
  }
};

/** What follows a pattern in the cookies; nothing where they are refused. */
export const cookie = (pattern: string): string | undefined => {
  try {
    return RegExp(`\\b${pattern}([\\w.]+)`).exec(document.cookie)![1];
  } catch {
    // None, or refused.
  }
};

/** Keep the visitor, or nobody, in a cookie on the widest domain that the browser takes: www.shop.example shares shop.example's. */
export const bake = (visitor: string): void => {
  let rest = "";
  for (const name of location.hostname.split(".").reverse()) {
    if (!visitor || !document.cookie.includes(visitor))
      document.cookie =
        `pbxtrack=${visitor};max-age=${visitor ? YEAR : 0};path=/;samesite=lax;domain=${name}${rest}` +
        (location.protocol > "http:" ? ";secure" : "");
    rest = "." + name + rest;
  }
};
