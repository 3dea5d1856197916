// The pages beside the reps': they show, list and ask; what moves by itself is asked for again while somebody looks.
import { $, ask, whenShown } from "/static/asking.js";

// A part that says data-rl-again="kind" is asked for again after data-rl-after seconds, unless nobody looks.
function again(box) {
  for (const part of box.querySelectorAll("[data-rl-again]:not([data-rl-met])")) {
    part.dataset.rlMet = "yes";
    const look = () => {
      if (!part.isConnected) return;
      if (document.hidden || part.contains(document.activeElement)) return void setTimeout(look, 1000);
      ask(part.dataset.rlAgain, JSON.parse(part.dataset.rlWith || "{}"));
    };
    setTimeout(look, Number(part.dataset.rlAfter) * 1000);
  }
}
for (const id of ["rl-exports-box", "rl-status-box"]) whenShown(id, again);
// A download begins at once; how far it is, is asked for from then on.
document.addEventListener("click", (event) => {
  if (event.target.closest?.("[data-rl-fetch]")) setTimeout(() => ask("exports"), 500);
});
// What was chosen in a list is scrolled to where it is shown.
whenShown("rl-drill-box", (box) => box.firstElementChild?.textContent.trim() && $("#rl-drill-box").scrollIntoView({ block: "nearest" }));
