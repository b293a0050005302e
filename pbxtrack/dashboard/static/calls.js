// The call log: keys, rows that lead to their calls, short addresses. What comes live is in calls-live.js.
// @ts-check

import { follow } from "./calls-live.js";

const table = /** @type {HTMLTableElement | null} */ (document.getElementById("calls"));
const keys = /** @type {HTMLDialogElement | null} */ (document.getElementById("keys"));

/** The links of the rows, in order. @returns {HTMLAnchorElement[]} */
function links() {
  return table ? [...table.querySelectorAll("tbody th a")].map((link) => /** @type {HTMLAnchorElement} */ (link)) : [];
}

/** Choose the next call, or the one before. @param {1 | -1} step */
function move(step) {
  const all = links();
  const row = document.activeElement?.closest("#calls tbody tr");
  const now = row ? all.findIndex((link) => row.contains(link)) : -1;
  const next = all[now < 0 ? (step > 0 ? 0 : all.length - 1) : Math.min(Math.max(now + step, 0), all.length - 1)];
  next?.focus();
  next?.closest("tr")?.scrollIntoView({ block: "nearest" });
}

document.addEventListener("keydown", (event) => {
  const at = /** @type {Element | null} */ (event.target instanceof Element ? event.target : null);
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || event.defaultPrevented) return;
  if (at?.closest("input, select, textarea, dialog, [contenteditable]")) return;
  const inRows = Boolean(at?.closest("#calls tbody"));
  if (event.key === "j" || (event.key === "ArrowDown" && inRows)) move(1);
  else if (event.key === "k" || (event.key === "ArrowUp" && inRows)) move(-1);
  else if (event.key === "/") /** @type {HTMLElement | null} */ (document.querySelector(".filters [type=search]"))?.focus();
  else if (event.key === "?") keys?.showModal();
  else return;
  event.preventDefault();
});

table?.addEventListener("click", (event) => {
  const at = event.target instanceof Element ? event.target : null;
  if (!at || at.closest("a, button, summary") || String(getSelection())) return;
  const link = /** @type {HTMLAnchorElement | null} */ (at.closest("tbody tr")?.querySelector("th a") ?? null);
  if (!link) return;
  if (event.ctrlKey || event.metaKey) open(link.href, "_blank", "noopener");
  else link.click();
});

document.addEventListener("submit", (event) => {
  const form = /** @type {HTMLFormElement} */ (event.target);
  if (form.method !== "get") return;
  const empty = [...form.elements].filter((field) => "value" in field && "name" in field && field.name && !field.value);
  for (const field of empty) /** @type {HTMLInputElement} */ (field).disabled = true;
  // A page that is gone back to has its fields as they were left.
  setTimeout(() => empty.forEach((field) => (/** @type {HTMLInputElement} */ (field).disabled = false)));
});

if (table?.dataset.live) follow(table);
