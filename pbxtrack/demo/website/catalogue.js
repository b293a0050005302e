/* The catalogue comes late, and its items are pages without a page being loaded: what an application does. */
const items = document.querySelector("#items");
const item = document.querySelector("#item");

function card({ id, name, picture, price, text }) {
  const element = document.createElement("li");
  element.className = "card";
  const image = Object.assign(document.createElement("img"), { src: picture, alt: "" });
  const heading = document.createElement("h3");
  const link = Object.assign(document.createElement("a"), { href: `/catalogue?item=${id}`, textContent: name });
  link.addEventListener("click", (event) => {
    event.preventDefault();
    history.pushState({}, "", link.href);
    show();
  });
  heading.append(link);
  const about = Object.assign(document.createElement("p"), { textContent: text });
  const cost = Object.assign(document.createElement("p"), { className: "price", textContent: price });
  element.append(image, heading, about, cost);
  return element;
}

let known = [];

function show() {
  const wanted = known.find(({ id }) => id === new URLSearchParams(location.search).get("item"));
  items.hidden = Boolean(wanted);
  item.hidden = !wanted;
  if (!wanted) return;
  item.querySelector("h2").textContent = wanted.name;
  item.querySelector(".text").textContent = wanted.text;
  item.querySelector(".price").textContent = wanted.price;
  item.querySelector(".order").textContent = `To order it, call 8 (495) 123-45-67 or write to sales@shop.example.`;
}

item.querySelector("button").addEventListener("click", () => {
  history.pushState({}, "", "/catalogue");
  show();
});
addEventListener("popstate", show);

const answer = await fetch("/items.json");
known = await answer.json();
items.append(...known.map(card));
document.querySelector("#waiting").remove();
show();
