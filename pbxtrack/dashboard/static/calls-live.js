// Calls as they come: a stream tells which changed, the server makes their rows, here they are put in their places.
// @ts-check

const TOGETHER = 250; // ms in which changes are gathered
const AT_ONCE = 20; // changed calls from which on the page's rows are all fetched
const MOST = 500; // rows from which on the page is loaded anew
const AGAIN = 10_000; // ms until another try, where the browser makes none by itself

/** Keep a table's rows as the calls are. @param {HTMLTableElement} table */
export function follow(table) {
  const address = table.dataset.live ?? "";
  const rows = table.dataset.rows ?? "";
  const sign = /** @type {HTMLElement | null} */ (document.querySelector(".live"));
  const said = document.getElementById("announced");
  /** @type {Set<string>} */
  const changed = new Set();
  let all = false; // rows are to be fetched, whichever changed
  let busy = false;
  let timer = 0;
  /** @type {EventSource | null} */
  let stream = null;

  /** @param {boolean} on */
  function show(on) {
    if (!sign) return;
    const text = (on ? sign.dataset.on : sign.dataset.lost) ?? "";
    if (!sign.hidden && sign.textContent === text) return;
    sign.hidden = false;
    sign.textContent = text;
    sign.classList.toggle("lost", !on);
  }

  function begin() {
    stream?.close();
    stream = new EventSource(address);
    stream.addEventListener("open", () => show(true));
    stream.addEventListener("call", (event) => soon(JSON.parse(event.data).id));
    stream.addEventListener("reload", () => soon());
    stream.addEventListener("error", () => {
      show(false);
      if (stream?.readyState === EventSource.CLOSED) again();
    });
  }

  function end() {
    stream?.close();
    stream = null;
  }

  /** The stream is over for good: begin another, and see what was missed. */
  function again() {
    end();
    setTimeout(() => {
      if (document.hidden || stream) return;
      begin();
      soon();
    }, AGAIN);
  }

  /** Fetch what changed in a moment; without an id all. @param {string} [id] */
  function soon(id) {
    if (id === undefined) all = true;
    else changed.add(id);
    if (!timer && !busy) timer = setTimeout(fetchRows, TOGETHER);
  }

  async function fetchRows() {
    timer = 0;
    busy = true;
    const whole = all || changed.size > AT_ONCE;
    const ids = whole ? [] : [...changed];
    changed.clear();
    all = false;
    try {
      const query = ids.map((id) => `id=${encodeURIComponent(id)}`).join("&");
      const answer = await fetch(rows + (query && (rows.includes("?") ? "&" : "?") + query), { redirect: "error" });
      if (!answer.ok) throw new Error(String(answer.status));
      put(new DOMParser().parseFromString(await answer.text(), "text/html"), ids);
    } catch {
      show(false);
      end();
      again();
    }
    busy = false;
    if (all || changed.size) soon([...changed][0]);
  }

  /** Put rows in their places; calls of these ids without a row do not fit any more. @param {Document} made @param {string[]} ids */
  function put(made, ids) {
    const body = table.tBodies[0];
    const summary = made.getElementById("summary");
    if (summary) document.getElementById("summary")?.replaceWith(summary);
    const fresh = [...made.querySelectorAll("tr")];
    const there = new Map([...body.rows].map((row) => [row.dataset.call ?? "", row]));
    /** @type {string[]} */
    const told = [];
    for (const row of fresh) {
      const old = there.get(row.dataset.call ?? "");
      const focused = old?.contains(document.activeElement) ?? false;
      if (old && old.outerHTML === row.outerHTML) continue;
      if (old) old.replaceWith(row);
      else {
        place(body, row);
        row.classList.add("new");
        told.push(row.dataset.told ?? "");
      }
      if (focused) /** @type {HTMLElement | null} */ (row.querySelector("th a"))?.focus({ preventScroll: true });
    }
    const present = new Set(fresh.map((row) => row.dataset.call));
    for (const id of ids) if (!present.has(id)) there.get(id)?.remove();
    if (said && told.length) said.textContent = told.slice(0, 3).join("; ");
    table.hidden = !body.rows.length;
    document.getElementById("nothing")?.toggleAttribute("hidden", body.rows.length > 0);
    if (body.rows.length > MOST) location.reload();
  }

  /** The newest first. @param {HTMLTableSectionElement} body @param {HTMLTableRowElement} row */
  function place(body, row) {
    const after = [...body.rows].find((one) => (one.dataset.at ?? "") <= (row.dataset.at ?? ""));
    body.insertBefore(row, after ?? null);
  }

  // A page in the background holds no connection: browsers have few of them for all pages of a server.
  function back() {
    begin();
    soon();
  }
  document.addEventListener("visibilitychange", () => (document.hidden ? end() : back()));
  addEventListener("pagehide", end);
  addEventListener("pageshow", (event) => event.persisted && back());
  if (!document.hidden) begin();
}
