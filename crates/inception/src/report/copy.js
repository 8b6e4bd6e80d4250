// Adds what works by script alone: buttons that copy commands, one that opens all rows, and links that open their row.
for (const pre of document.querySelectorAll("pre[data-step]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.ariaLive = "polite";
  button.textContent = "Copy";
  const name = document.createElement("span");
  name.className = "unseen";
  name.textContent = ` the commands of step ${pre.dataset.step}, ${pre.closest("section").dataset.name}`;
  button.append(name);
  button.addEventListener("click", async () => {
    try {
      const typed = [...pre.querySelectorAll("code")].map((it) => it.textContent);
      await navigator.clipboard.writeText(typed.join("").trim());
    } catch {
      // A page that came over HTTP has no clipboard. What is selected can be copied all the same.
      getSelection().selectAllChildren(pre);
      document.execCommand("copy");
    }
    document.querySelectorAll("pre[data-step] + button").forEach((it) => { it.firstChild.data = it === button ? "Copied" : "Copy"; });
  });
  pre.after(button);
}
const all = document.createElement("button");
all.type = "button";
all.textContent = "Open all rows";
all.addEventListener("click", () => {
  const open = all.textContent === "Open all rows";
  document.querySelectorAll("main details").forEach((it) => { it.open = open; });
  all.textContent = open ? "Close all rows" : "Open all rows";
});
document.getElementById("legend").append(all);
const reveal = () => {
  const place = document.getElementById(location.hash.slice(1));
  if (!place) return;
  for (let it = place.closest("details"); it; it = it.parentElement.closest("details")) it.open = true;
  place.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
