/** What the browser keeps of the visitor: in a cookie and in its storage, where it does not refuse. */

import { guard } from "./guard";
import { key } from "./site";

export const PLACE = "pbxtrack" + key;
const YEAR = 3e7; // seconds, nearly


/** Nothing is kept where that is refused, or full. */
export const write = guard((value: unknown) => {
  localStorage[PLACE] = JSON.stringify(value);
});

/** Keep the visitor, or nobody, in a cookie on the widest domain that the browser takes: www.shop.example shares shop.example's. */
export const bake = (visitor: string): void => {
  let rest = "";
  for (const name of location.hostname.split(".").reverse()) {
    if (!(visitor && document.cookie.includes(visitor)))
      document.cookie =
        `pbxtrack=${visitor};max-age=${visitor ? YEAR : 0};path=/;samesite=lax;domain=${name}${rest};${isSecureContext && "secure"}`;
    rest = "." + name + rest;
  }
};
