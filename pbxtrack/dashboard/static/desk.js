// What every page has: menus that close, tips that follow the pointer. Pages work without it.
// @ts-check

document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(/** @type {Node} */ (event.target))) menu.removeAttribute("open");
  }
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  open.removeAttribute("open");
  open.querySelector("summary")?.focus();
});

/** @type {HTMLElement | null} */
let tip = null;

/** @param {string} text @param {number} x @param {number} y */
function showTip(text, x, y) {
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "tip";
    tip.setAttribute("aria-hidden", "true");
    document.body.append(tip);
  }
  tip.hidden = false;
  tip.textContent = text;
  const { width, height } = tip.getBoundingClientRect();
  const left = Math.min(Math.max(x - width / 2, 8), innerWidth - width - 8);
  const top = y - height - 14 < 4 ? y + 18 : y - height - 14;
  tip.style.transform = `translate(${left}px, ${top}px)`;
}

document.addEventListener("pointermove", (event) => {
  const over = event.target instanceof Element ? event.target.closest("[data-tip]") : null;
  if (over) showTip(over.getAttribute("data-tip") ?? "", event.clientX, event.clientY);
  else if (tip) tip.hidden = true;
});

document.querySelector(".switch.pages [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
