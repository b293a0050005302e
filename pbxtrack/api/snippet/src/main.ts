/** Starts, and gives pages `window.pbxtrack`. */

import { options } from "./site";
import { swap } from "./page";
import { listen } from "./signs";
import { begin, end, lease, view } from "./lease";
import { guard } from "./guard";
import { inform, type Lease, type Listener, listeners } from "./show";

type Call = [name: "onnumber" | "swap" | "consent" | "view", given?: never];

interface Pbxtrack {
  readonly lease: Lease | null;
  onnumber(listener: Listener): void;
  swap(root: Element | Document | ShadowRoot): void; // does nothing as long as there is no number
  consent(given: boolean): void;
  view(): void;
  push(call: Call): void;
}

declare global {
  interface Window {
    pbxtrack?: Pbxtrack | Call[];
  }
}

const page: Pbxtrack = {
  get lease() {
    return lease;
  },
  onnumber(listener) {
    listeners.push(listener);
    inform(listener);
  },
  swap: guard(swap),
  consent: guard((given: boolean) => (given ? begin() : end())),
  view,
  push([name, given]) {
    (page[name] as (given: unknown) => void)(given);
  },
};

const queue = window.pbxtrack || [];
// Otherwise the tag is on the page twice.
if (!(queue as Pbxtrack).swap) {
  window.pbxtrack = page;
  listen();
  if (!options.consent) begin();
  (queue as Call[]).forEach(page.push);
}
