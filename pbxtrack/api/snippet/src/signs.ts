/** What visitors do with the number, and where they go, as far as the page's own document tells. */

import { guard } from "./guard";
import { beat, lease, tell, view } from "./lease";

const SHORT = 80; // characters of an element that shows a number, and not half the page

/** Tell of what was done with a text, if that holds the leased number or address. */
const done = (event: string, text: string): void => {
  if ((lease!.email && text.includes(lease!.email)) || text.replace(/\D/g, "").includes(lease!.number!.slice(-9)))
    tell(event);
};

const press = ({ target, pointerType }: PointerEvent): void => {
  const link = (target as Element).closest<HTMLAnchorElement>("[href]");
  done("tap", link ? link.href : pointerType == "touch" ? (target as Element).textContent!.slice(0, SHORT) : "");
};

const listeners: Record<string, (event: any) => void> = {
  click: press,
  copy: () => done("copy", "" + getSelection()),
  visibilitychange: () => beat(),
  pagehide: () => tell("leave"),
  popstate: view,
};

export const listen = (): void => {
  for (const name in listeners) addEventListener(name, guard(listeners[name]), true);
  for (const name of ["pushState", "replaceState"] as const) {
    const original = history[name];
    history[name] = (...given) => {
      original.apply(history, given);
      view();
    };
  }
};
