/** The visitor's lease: asked for, held while the page is looked at, asked for again when it is gone. */

import { guard } from "./guard";
import { bake, PLACE, write } from "./memory";
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
const REST = 60; // s between beats, and of rest after a failure, where the server says nothing else
const LEAST = 9; // s, and the most, whatever the server says
const MOST = 4_000;
const CAMPAIGN = /[?&](utm_\w+|\w*(?:cl\w*i|brai)d)=([^&#]{1,256})/g;

export let lease: Lease | null = null;

let kept: Partial<Kept> = {};
let confirmed: boolean; // by the server, for this page
let asking: boolean;
let off = true;
let timer: number;
let reported: string;

/** What the server says is none of ours, and may be anything. */
const bounded = (seconds?: any): number => (seconds > LEAST && seconds < MOST ? seconds : REST) * 1_000;

/** Nor is what an earlier page kept. */
const quiet = (): boolean => kept.q! > Date.now() && kept.q! < Date.now() + 1_000 * MOST;

const alive = (): boolean => Date.parse(lease?.expires_at!) > Date.now();

/** Tell the server something; ``take`` what it answers, unless that is nobody's business. */
const post = async (path: string, body: object, take?: (lease: Lease) => void): Promise<void> => {
  if (quiet()) return;
  const held = lease;
  let rest = bounded();
  try {
    const deadline = new AbortController();
    setTimeout(() => deadline.abort(), PATIENCE);
    const answer = await fetch(api + path, {
      signal: deadline.signal,
      method: "POST",
      keepalive: true,
      body: JSON.stringify(body),
    });
    const given = answer.ok && (await answer.json());
    rest = given || answer.status == 410 ? 0 : bounded(answer.headers.get("Retry-After"));
    if (take && !rest && held == lease)
      if (given) take(given);
      else {
        confirmed = false;
        ask();
      }
  } catch {
    // No answer, or none of ours.
  }
  if (take && rest) {
    kept.q = Date.now() + rest;
    write(kept);
  }
};

const take = (answer: Lease): void => {
  lease = kept.l = answer;
  write(kept);
  show();
};

const ask = guard(async () => {
  if (asking) return;
  asking = true;
  const ids = (kept.i = { ...kept.i });
  location.search.replace(CAMPAIGN, (_, name: string, value: string) =>
    // As a loop over matches; what it would give is not wanted.
    name[3] == "_" ? "" : (ids[name] = value),
  );
  let cookies: string; // read once, since each time is a question to the browser
  guard(() => (cookies = document.cookie))(); // which may refuse
  const cookie = (pattern: string) => RegExp(`\\b${pattern}([\\w.]+)`).exec(cookies)?.[1];
  ids.ga = cookie("_ga=.{6}"); // GA1.1.
  ids.ym = cookie("_ym_uid=");
  reported = location.href;
  await post(
    "",
    {
      site: key,
      visitor: cookie("pbxtrack=") || kept.l?.visitor,
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
});

const renew = (event?: string, take?: (lease: Lease) => void): unknown =>
  post(`/${lease!.lease}/renew`, { page: location.href, event }, take);

/** A sign of life, and the next one in a while, as long as somebody looks. */
export const beat = guard((event?: string): void => {
  clearTimeout(timer);
  if (off || document.hidden) return;
  timer = setTimeout(beat, bounded(lease?.renew_after));
  if (confirmed && alive()) {
    renew(event, take);
    swapAll();
  } else ask();
});

/** The address may have changed without a page being loaded. */
export const view = guard((): void => {
  if (confirmed && reported != (reported = location.href)) {
    confirmed = reported.search(CAMPAIGN) < 0;
    beat("view");
  }
});

/** Tell of something, though the page may be gone before the answer comes. */
export const tell = (event: string): unknown => confirmed && renew(event);

/** Begin: show what an earlier page was given, then ask. */
export const begin = (): void => {
  if (!off) return;
  off = false;
  guard(() => {
    kept = { ...JSON.parse(localStorage[PLACE]) }; // which somebody else may have written
  })();
  lease = kept.l!;
  // A new campaign is a new visit, with a number of its own.
  if (alive() && location.href.search(CAMPAIGN) < 0) show();
  else lease = null;
  beat();
};

/** Ask for nothing more and forget the visitor. */
export const end = (): unknown => {
  off = true;
  confirmed = false;
  lease = null;
  write((kept = {}));
  return bake("");
};
