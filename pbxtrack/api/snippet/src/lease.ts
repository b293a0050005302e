/** The visitor's lease: asked for, held while the page is looked at, asked for again when it is gone. */

import { guard } from "./guard";
import { bake, cookie, read, write } from "./memory";
import { swapAll } from "./page";
import { type Lease, show } from "./show";
import { api, key, options } from "./site";

/** What the next page is told. */
interface Kept {
  i: Record<string, string | undefined>; // the visitor's ids in other systems
  l: Lease; // the last one, alive or not
  q: number; // quiet until then, in milliseconds
}

const PATIENCE = 5_000; // ms for an answer
const LONGEST_ID = 256; // characters
const REST = 60; // s between beats, and of rest after a failure, where the server says nothing else
const CAMPAIGN = /[?&](utm_\w+|\w*cl\w*id|\w*braid)=([^&#]+)/g;

export let lease: Lease | null = null;

let kept: Partial<Kept> = {};
let confirmed: boolean; // by the server, for this page
let asking: boolean;
let off = true;
let timer: number;
let reported: string;

const quiet = (): boolean => kept.q! > Date.now();

const alive = (): boolean => !!lease && Date.parse(lease.expires_at) > Date.now();

const post = async (path: string, body: object, take: (lease: Lease) => void): Promise<void> => {
  if (quiet()) return;
  let rest = REST;
  try {
    const deadline = new AbortController();
    setTimeout(() => deadline.abort(), PATIENCE);
    const answer = await fetch(api + path, {
      method: "POST",
      body: JSON.stringify(body),
      keepalive: true,
      signal: deadline.signal,
    });
    const given = answer.ok && (await answer.json());
    rest = given || answer.status == 410 ? 0 : +answer.headers.get("Retry-After")! || REST;
    if (given) take(given);
    else if (!rest) {
      confirmed = false;
      ask();
    }
  } catch {
    // No answer, or none of ours.
  }
  if (rest) {
    kept.q = Date.now() + rest * 1_000;
    write(kept);
  }
};

const take = (answer: Lease): void => {
  lease = kept.l = answer;
  write(kept);
  show(answer);
};

const ask = async (): Promise<void> => {
  if (asking) return;
  asking = true;
  const ids = (kept.i = kept.i || {});
  location.search.replace(CAMPAIGN, (_, name: string, value: string) =>
    name[3] == "_" ? "" : (ids[name] = value.slice(0, LONGEST_ID)),
  );
  ids.ga = cookie("_ga=.{6}"); // GA1.1.
  ids.ym = cookie("_ym_uid=");
  reported = location.href;
  await post(
    "",
    {
      site: key,
      visitor: cookie("pbxtrack=") || (kept.l && kept.l.visitor),
      page: reported,
      referrer: document.referrer,
      region: options.region,
      client_ids: ids,
    },
    (answer) => {
      off = off || !answer.lease;
      if (!off) {
        confirmed = true;
        take(answer);
        bake(answer.visitor);
      }
    },
  );
  asking = false;
  view();
};

const renew = (event?: string, beacon?: boolean): void => {
  const held = lease!;
  const path = `/${held.lease}/renew`;
  const body = { page: location.href, event };
  if (!quiet() && !(beacon && navigator.sendBeacon && navigator.sendBeacon(api + path, JSON.stringify(body))))
    post(path, body, (answer) => {
      if (held == lease) take(answer);
      swapAll();
    });
};

/** A sign of life, and the next one in a while, as long as somebody looks. */
export const beat = guard((event?: string): void => {
  clearTimeout(timer);
  if (off || document.hidden) return;
  timer = setTimeout(beat, ((lease && lease.renew_after) || REST) * 1_000);
  if (confirmed && alive()) renew(event);
  else ask();
});

/** The address may have changed without a page being loaded. */
export const view = guard((): void => {
  if (confirmed && reported != (reported = location.href)) {
    confirmed = reported.search(CAMPAIGN) < 0;
    beat("view");
  }
});

/** Tell of something in a way that outlives the page. */
export const tell = (event: string): void => {
  if (confirmed) renew(event, true);
};

/** Begin: show what an earlier page was given, then ask. */
export const begin = (): void => {
  if (!off) return;
  off = false;
  kept = read();
  lease = kept.l!;
  // A new campaign is a new visit, with a number of its own.
  if (alive() && location.href.search(CAMPAIGN) < 0) show(lease);
  else lease = null;
  beat();
};

/** Ask for nothing more and forget the visitor. */
export const end = (): void => {
  off = true;
  confirmed = false;
  lease = null;
  write((kept = {}));
  bake("");
};
