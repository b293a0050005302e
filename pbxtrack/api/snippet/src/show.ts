/** Puts an answer on the page, and tells those on the page who want to know. */

import { guard } from "./guard";
import { lease } from "./lease";
import { aim, type Shown } from "./numbers";
import { swapAll, watch } from "./page";

export interface Lease extends Shown {
  lease: string | null; // null: nothing is leased to a program that reads pages
  visitor: string;
  visit: string;
  region: string;
  expires_at: string;
  guaranteed_until: string;
  renew_after: number;
  overflow: boolean;
}

export type Listener = (lease: Lease) => void;

export const listeners: Listener[] = [];
let shown: string;

/** What a listener throws is the page's own. Where no number can be had, the page keeps what it shows. */
export const inform = (listener: Listener): unknown => lease?.number && setTimeout(listener, 0, lease);

export const show = guard((): void => {
  const now = lease!.number + "" + lease!.email;
  if (now != shown) {
    aim(lease!);
    swapAll();
    if (!shown) watch();
    shown = now;
    listeners.forEach(inform);
  }
});
