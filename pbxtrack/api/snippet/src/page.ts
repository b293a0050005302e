/** Swaps numbers in the page: text in place, node by node, and attributes; nothing is added, moved or parsed. */

import { guard } from "./guard";
import { EDGE, find, promising } from "./numbers";
import { numbers, options } from "./site";

// Left alone with all that is below. A leased number takes calls and no messages: links that carry the company's
// number to a messenger stay as they are, and so does what they say.
const SKIP =
  "script,style,title,noscript,textarea,select,[noswap],[contenteditable]" +
  numbers.map((parts) => `,[href*="${parts[2]}"]:not([href^="tel:" i])`).join("");
// A number may go on from one of these to the next: texts, comments (which frameworks put between texts), elements.
const INLINE = /^(#.*|[^P]|EM|FONT|S(MALL|PAN|TRONG)|WBR)$/;
const ATTRIBUTES = ["href", "title", "alt", "aria-label"];
const CHANGES = 999; // until the page is swapped as a whole again: with the next sign of life

let wall: string; // between blocks
let nodes: [node: Text, start: number][];
let text: string;
let left: number; // changes

const swapAttribute = (element: Element, name: string): void => {
  let value = element.getAttribute(name) || "";
  if (/^tel:/i.test(value)) value = unescape(value);
  if (promising(value) && (name != "href" || /^(tel|mailto):/i.test(value)) && !element.closest(SKIP)) {
    for (const [start, end, piece] of find(value)) {
      value = value.slice(0, start) + piece + value.slice(end);
      element.setAttribute(name, value);
      left--;
    }
  }
};

/** Gather the text below. */
const walk = (node: Node): void => {
  if (node.nodeType == 3) {
    nodes.push([node as Text, text.length]);
    text += (node as Text).data + EDGE;
    return;
  }
  const edge = INLINE.test(node.nodeName) ? "" : wall;
  text += edge;
  if ((edge && !promising(node.textContent)) || (node.nodeType == 1 && (node as Element).matches(SKIP))) return;
  for (let child = node.firstChild; child; child = child.nextSibling) walk(child);
  text += edge;
};

/** Swap all that is below an element, and its own attributes; or below a document or shadow root. */
export const swap = (root: Element | Document | ShadowRoot, between = "|"): void => {
  const element = "closest" in root && root;
  if (element && element.closest(SKIP)) return;
  for (const name of ATTRIBUTES) {
    if (element) swapAttribute(element, name);
    root.querySelectorAll(`[${name}]`).forEach((one) => swapAttribute(one, name));
  }
  nodes = [];
  text = "";
  wall = between;
  walk(root);
  let at = nodes.length - 1;
  for (const [start, end, piece] of find(text)) {
    const pieces = piece.split(EDGE);
    for (; ; at--) {
      const [node, from] = nodes[at];
      if (from < end) {
        const { data } = node;
        const part = from > start ? (pieces[1] == null ? "" : pieces.pop()) : pieces[0];
        node.data = data.substring(0, start - from) + part + data.substring(end - from);
        left--;
        if (from <= start) break;
      }
    }
  }
};

/** Swap the page, and where it says that a number is, whatever blocks that is spread over. */
export const swapAll = (): void => {
  swap(document);
  pointed();
  left = CHANGES;
};

// Without the option it looks for elements called "undefined".
const pointed = guard(() => document.querySelectorAll(options.number!).forEach((element) => swap(element, "")));

const seen = (records: MutationRecord[]): void => {
  // A page that writes its own number back each time must not keep us, and itself, busy for ever.
  if (left < 0) return;
  const roots = new Set<Node>();
  for (const { type, target, addedNodes } of records)
    for (let node of type == "childList" ? addedNodes : [target]) {
      while (INLINE.test(node.nodeName) && node.parentNode) node = node.parentNode;
      roots.add(node);
    }
  roots.forEach(guard((root) => swap(root as Element)));
  pointed();
};

/** Swap what comes into the page from now on. */
export const watch = (): void => {
  new MutationObserver(guard(seen)).observe(document, {
    attributeFilter: ATTRIBUTES,
    characterData: true,
    childList: true,
    subtree: true,
  });
};
