/** Swaps numbers in the page: text in place, node by node, and attributes; nothing is added, moved or parsed. */

import { guard } from "./guard";
import { EDGE, find } from "./numbers";
import { numbers, options } from "./site";

// Left alone with all that is below. A leased number takes calls and no messages: links that carry the company's
// number to a messenger stay as they are, and so does what they say.
const SKIP =
  "script,style,title,noscript,textarea,[noswap],[contenteditable]" +
  numbers.map((parts) => `,[href*="${parts[2]}"]:not([href^="tel:" i])`).join("");
// A number may go on from one of these to the next: texts, comments (which frameworks put between texts), elements.
const INLINE = /^(#.*|[^P]|EM|FONT|LABEL|NOBR|S(MALL|PAN|TRONG)|WBR)$/;
const ATTRIBUTES = ["href", "title", "alt", "aria-label"];
const CONTEXT = 2_000; // characters around a change in which the rest of a number is looked for
const CHANGES = 999; // until the page is swapped as a whole again: with the next sign of life

let wall: string; // between blocks
let nodes: [node: Text, start: number][];
let text: string;
let walked = new Set<Node>();
let left: number; // changes

const attributes = (element: Element): void => {
  for (const name of ATTRIBUTES) {
    let value = element.getAttribute(name);
    if (value && (name != "href" || /^(tel|mailto):/i.test(value))) {
      if (/^tel/i.test(value)) value = unescape(value);
      const changes = find(value);
      for (const [start, end, piece] of changes) value = value.slice(0, start) + piece + value.slice(end);
      if (changes[0]) {
        element.setAttribute(name, value);
        left--;
      }
    }
  }
};

/** Gather the text below, and swap attributes. */
const walk = (node: Node): void => {
  walked.add(node);
  if (node.nodeType == 3) {
    nodes.push([node as Text, text.length]);
    text += (node as Text).data + EDGE;
    return;
  }
  const edge = INLINE.test(node.nodeName) ? "" : wall;
  text += edge;
  if (node.nodeType == 1) {
    if ((node as Element).matches(SKIP)) return;
    attributes(node as Element);
  }
  for (let child = node.firstChild; child; child = child.nextSibling) walk(child);
  text += edge;
};

/** Swap all that is below a node, and its own attributes. */
export const swap = (root: Node, between = "|"): void => {
  const element = ((root as Element).closest ? root : root.parentElement) as Element | null;
  if (element && element.closest(SKIP)) return;
  nodes = [];
  text = "";
  wall = between;
  walk(root);
  for (const [start, end, piece] of find(text)) {
    const pieces = piece.split(EDGE);
    for (const [node, from] of nodes) {
      const { data } = node;
      if (from <= end && from + data.length >= start) {
        node.data = data.substring(0, start - from) + (pieces.shift() || "") + data.substring(end - from);
        left--;
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

const pointed = guard(() => {
  if (options.number) document.querySelectorAll(options.number).forEach((element) => swap(element, ""));
});

const seen = (records: MutationRecord[]): void => {
  // A page that writes its own number back each time must not keep us, and itself, busy for ever.
  if (left < 0) return;
  walked = new Set();
  for (const { type, target, addedNodes } of records)
    for (let node of type == "childList" ? addedNodes : [target])
      if (!walked.has(node)) {
        for (let up; (up = node.parentElement) && up.textContent!.length < CONTEXT; ) node = up;
        swap(node);
      }
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
