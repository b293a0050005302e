// Keeps the page of the service's health fresh: what has changed is exchanged, the rest is left alone.
// @ts-check

const EVERY = 5000; // ms
const health = document.getElementById("health");

/** @param {HTMLElement} place @param {string} html */
function exchange(place, html) {
  const fresh = new DOMParser().parseFromString(html, "text/html");
  const names = [...fresh.querySelectorAll("[data-part]")].map((part) => part.getAttribute("data-part"));
  const known = [...place.querySelectorAll("[data-part]")].map((part) => part.getAttribute("data-part"));
  if (names.join() !== known.join()) {
    place.replaceChildren(...fresh.body.childNodes);
    return;
  }
  for (const name of names) {
    const before = place.querySelector(`[data-part="${name}"]`);
    const after = fresh.querySelector(`[data-part="${name}"]`);
    if (!before || !after || before.outerHTML === after.outerHTML || before.contains(document.activeElement)) continue;
    before.replaceWith(after);
  }
}

/** @param {HTMLElement} place */
async function refresh(place) {
  if (document.hidden) return;
  try {
    const answer = await fetch(place.dataset.from ?? "", { redirect: "error" });
    if (!answer.ok) throw new Error(String(answer.status));
    exchange(place, await answer.text());
    document.getElementById("unanswered")?.remove();
  } catch {
    if (document.getElementById("unanswered")) return;
    const told = document.createElement("p");
    told.id = "unanswered";
    told.className = "error";
    told.setAttribute("role", "alert");
    told.textContent = place.dataset.failed ?? "";
    place.before(told);
  }
}

if (health) setInterval(() => refresh(health), EVERY);
