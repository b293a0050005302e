// Stands for a single-page application: addresses change through the History API, and what is shown comes late.
const offers = {
  "/catalogue": ["Oslo sofa", "Riga chair", "Tartu table"],
  "/catalogue/sofas": ["Oslo sofa", "Lida corner sofa", "Narva sofa", "Pskov daybed"],
  "/catalogue/chairs": ["Riga chair", "Parnu armchair"],
  "/catalogue/tables": ["Tartu table", "Vyborg desk", "Kotka side table"],
};

const show = () => {
  const list = document.getElementById("offers");
  if (!list) return;
  setTimeout(() => {
    const items = (offers[location.pathname] ?? []).map((name) => {
      const item = document.createElement("li");
      const swatch = document.createElement("div");
      swatch.className = "swatch";
      const title = document.createElement("h3");
      title.textContent = name;
      const text = document.createElement("p");
      text.textContent = "Reserve it by telephone: 8 (495) 123-45-67";
      item.append(swatch, title, text);
      return item;
    });
    list.replaceChildren(...items);
  }, 300);
};

addEventListener("click", (event) => {
  const link = event.target.closest('a[href^="/catalogue/"]');
  if (!link || !document.getElementById("offers")) return;
  event.preventDefault();
  history.pushState({}, "", link.getAttribute("href"));
  show();
});
addEventListener("popstate", show);
show();
