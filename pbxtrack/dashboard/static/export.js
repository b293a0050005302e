// How far an export is, where it takes a while. Without this, and for very large ones, the browser downloads by itself.
// @ts-check

const MOST = 200_000; // rows that are gathered in the page
const PATIENCE = 400; // ms until anything is shown

const box = /** @type {HTMLElement | null} */ (document.getElementById("exporting"));
const bar = box?.querySelector("progress");
/** @type {AbortController | null} */
let running = null;

/** @param {HTMLAnchorElement} link */
async function fetchFile(link) {
  running?.abort();
  const own = (running = new AbortController());
  const show = setTimeout(() => box?.removeAttribute("hidden"), PATIENCE);
  try {
    const answer = await fetch(link.href, { signal: own.signal, redirect: "error" });
    const rows = Number(answer.headers.get("X-Rows"));
    if (!answer.ok || !answer.body || !(rows <= MOST)) {
      own.abort();
      location.assign(link.href);
      return;
    }
    await keep(answer, rows, link.dataset.name ?? "calls");
  } catch {
    if (!own.signal.aborted) location.assign(link.href);
  } finally {
    clearTimeout(show);
    if (running === own) {
      box?.setAttribute("hidden", "");
      running = null;
    }
  }
}

/** @param {Response} answer @param {number} rows @param {string} name */
async function keep(answer, rows, name) {
  const reader = /** @type {ReadableStream<Uint8Array>} */ (answer.body).getReader();
  const lines = answer.headers.get("Content-Type")?.startsWith("text/csv") ?? false;
  /** @type {BlobPart[]} */
  const parts = [];
  let done = 0;
  if (bar) lines ? ((bar.max = Math.max(rows, 1)), (bar.value = 0)) : bar.removeAttribute("value");
  for (;;) {
    const { done: over, value } = await reader.read();
    if (over) break;
    parts.push(/** @type {BlobPart} */ (value));
    if (!lines || !bar) continue;
    for (const byte of value) if (byte === 10) done += 1;
    bar.value = Math.min(done, rows);
  }
  const address = URL.createObjectURL(new Blob(parts, { type: answer.headers.get("Content-Type") ?? "" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = answer.headers.get("Content-Disposition")?.match(/filename="([^"]+)"/)?.[1] ?? name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}

for (const link of document.querySelectorAll("a[data-export]")) {
  link.addEventListener("click", (event) => {
    if (!(event instanceof MouseEvent) || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    link.closest("details")?.removeAttribute("open");
    void fetchFile(/** @type {HTMLAnchorElement} */ (link));
  });
}
box?.querySelector("button")?.addEventListener("click", () => running?.abort());
