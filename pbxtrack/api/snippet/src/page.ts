/** Swaps numbers in the page: text in place, node by node, and attributes; nothing is added, moved or parsed. */

import { guard } from "./guard";
import { common, EDGE, promising, swapped } from "./numbers";
import { numbers, options } from "./site";

// Left alone with all that is below. A leased number takes calls and no messages: links that carry the company's
// number to a messenger stay as they are, and so does what they say.
const SKIP =
  "" +
  [
    "title,datalist,script,textarea,noscript,output,style,input,select,[noswap],[contenteditable]",
    ...numbers.map((parts) => `[href*="${parts[2]}"]:not([href^="tel:"i])`),
  ];
// A number may go on from one of these to the next: texts, comments (which frameworks put between texts), elements.
const INLINE = /^(#.*|[^P]|EM|FONT|S(MALL|PAN|TRONG)|WBR)$/;
const ELSEWHERE = /^href(?!tel:|mailto:)/i;
const ATTRIBUTES = ["title", "href", "aria-label", "alt"];
// A page that writes its own number back each time must not keep us, and itself, busy for ever: what it has changed so
// many times is left alone until the page is swapped as a whole again, with the next sign of life.
const TRIES = 999;

let nodes: { data: string }[]; // the texts of a line, and walls between blocks
const wall = { data: "|" };
let tries: WeakMap<Node, number>;

const inline = (node: Node | null): boolean => INLINE.test(node?.nodeName!);

const swapAttributes = (element: Element): void => {
  for (const name of ATTRIBUTES) {
    const old = (element.getAttribute(name) || "").replace(/^tel:.*/i, unescape);
    const value = swapped(old);
    if (value != old && !ELSEWHERE.test(name + old) && !element.closest(SKIP))
      element.setAttribute(name, value);
  }
};

/** Swap the attributes of a node and of all that is below it. */
const swapBelow = (node: Node): void => {
  // The browser finds few elements sooner than we look at many.
  const few = ATTRIBUTES.map((name) => `[${name}]` + common.replace(/./g, `[${name}*="$&"]`));
  if ((node as Partial<Element>).querySelectorAll)
    [node as Element, ...(node as Element).querySelectorAll(few + ',[href*="@"]')].forEach(guard(swapAttributes));
};

/** Gather the texts below. */
const walk = (node: Node): void => {
  if (node.nodeType == 3) nodes.push(node as Text);
  else {
    const block = !inline(node) && wall.data;
    if (block) nodes.push(wall);
    if ((block && !promising(node.textContent)) || (node as Partial<Element>).matches?.(SKIP)) return;
    for (let child = node.firstChild; child; child = child.nextSibling) walk(child);
    if (block) nodes.push(wall);
  }
};

/** Where the line begins that a node is in: other nodes than blocks, one after the other; or the block. */
const lineOf = (node: Node): Node => {
  let before;
  while ((before = inline(node) && [node.previousSibling, node.parentNode].find(inline))) node = before;
  return node;
};

/** Swap the text of a line. */
const swapLine = (first: Node): void => {
  if ((first.parentElement || document.body).closest(SKIP)) return;
  nodes = [];
  for (let node: Node = first; node == first || inline(node); node = node.nextSibling!) walk(node);
  const texts = swapped(nodes.map((node) => node.data).join(EDGE)).split(EDGE);
  nodes.forEach((node, at) => {
    if (node.data != texts[at]) node.data = texts[at];
  });
};

/** Swap all that is below an element, document or shadow root, and the element's own attributes. */
export const swap = (root: Node): void => {
  swapBelow(root);
  swapLine(lineOf(root));
};

const pointed = guard(() => {
  if (options.number) {
    const elements = document.querySelectorAll(options.number);
    wall.data = "";
    elements.forEach(swap);
    wall.data = "|";
  }
});

/** Swap the page, and where it says that a number is, whatever blocks that is spread over. */
export const swapAll = guard(() => {
  tries = new WeakMap();
  pointed();
  swap(document.body); // of which there is none yet where the script comes early
});

const seen = (records: MutationRecord[]): void => {
  const lines = new Set<Node>();
  for (const { type, target, addedNodes, removedNodes } of records) {
    const added = type == "childList";
    const count = (tries.get(target) || 0) + (added ? 9 : 1); // elements cost more than text
    // What is new is swapped however much of it there is.
    if (!added || removedNodes[0]) tries.set(target, count);
    if (count < TRIES)
      for (const node of added ? addedNodes : [target]) {
        swapBelow(node);
        lines.add(lineOf(node));
      }
  }
  lines.forEach(swapLine);
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
