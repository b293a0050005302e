// A button that copies what stands in a block of code. Without it people select the text.
// @ts-check

for (const block of document.querySelectorAll("pre[data-copy]")) {
  if (!(block instanceof HTMLElement) || !navigator.clipboard) continue;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = block.dataset.copy ?? "";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.innerText);
    button.textContent = block.dataset.copied ?? "";
    setTimeout(() => (button.textContent = block.dataset.copy ?? ""), 2000);
  });
  block.after(button);
}
