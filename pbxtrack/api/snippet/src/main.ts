/** Starts, and gives pages `window.pbxtrack`. */

import { guard } from "./guard";
import { begin, end, lease, view } from "./lease";
import { swap } from "./page";
import { inform, type Lease, type Listener, listeners } from "./show";
import { listen } from "./signs";
import { options } from "./site";

type Call = [name: "onnumber" | "swap" | "consent" | "view", ...given: never[]];

interface Pbxtrack {
  readonly lease: Lease | null;
  onnumber(listener: Listener): void;
  swap(root: Node): void; // does nothing as long as there is no number
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
    if (lease) inform(listener, lease);
  },
  swap: guard(swap),
  consent: guard((given: boolean) => (given ? begin() : end())),
  view,
  push([name, ...given]) {
    (page[name] as (...given: unknown[]) => void)(...given);
  },
};

guard(() => {
  const queue = window.pbxtrack;
  if (queue && "swap" in queue) return; // the tag is on the page twice
  window.pbxtrack = page;
  listen();
  if (options.consent != "wait") begin();
  if (queue) (queue as Call[]).forEach(page.push);
})();
