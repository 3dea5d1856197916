// The page of the people who find receipts: the box, the list under the keyboard, the paper and what is done with it.
import { $, ask, notice, whenFailed, whenShown, whenSignedInAgain } from "/static/asking.js";

const TYPING_PAUSE_MS = 280; // between a fast typist's words: each pause asks the API, which records what it answers
const SENDING_LOOK_MS = 1500; // how often a mail under way is asked after, until it has arrived or failed
const state = { asked: "", marked: -1, timer: 0 };
const box = () => $("#rl-q");
const options = () => [...document.querySelectorAll("#rl-list [role=option]")];

// --- Asking -------------------------------------------------------------------------------------------------------
function search(text, { again = false } = {}) {
  clearTimeout(state.timer);
  const wanted = text.trim();
  if (!wanted || (wanted === state.asked && !again)) return;
  state.asked = wanted;
  ask("search", { text: wanted });
}
function put(text) {
  box().value = text;
  box().focus();
  search(text);
}
function open(receiptId, lines) {
  ask("open", { receipt_id: receiptId, lines });
  history.replaceState(null, "", `?receipt=${receiptId}`); // an id is no personal data; a query may be
  select(receiptId);
}
const linesOf = (element) => (element.dataset.rlLines || "").split(",").filter(Boolean).map(Number);
const shownId = () => $("[data-rl-shown]")?.dataset.rlShown;
function select(receiptId) {
  for (const option of options()) option.setAttribute("aria-selected", String(option.dataset.rlOpen === receiptId));
}
whenFailed((kind) => { if (kind === "search") state.asked = ""; });
whenSignedInAgain(() => search(box().value, { again: true }));

// --- The list under the keyboard ----------------------------------------------------------------------------------
function mark(index) {
  const all = options();
  state.marked = Math.max(-1, Math.min(index, all.length - 1));
  all.forEach((option, i) => option.classList.toggle("rl-active", i === state.marked));
  const now = all[state.marked];
  if (now) {
    box()?.setAttribute("aria-activedescendant", now.id);
    now.scrollIntoView({ block: "nearest" });
  } else box()?.removeAttribute("aria-activedescendant");
}
function back() {
  document.body.classList.remove("rl-opened");
  box()?.focus({ preventScroll: true });
}
function escape(typing) {
  if ($(".rl-mail:not([hidden])")) mail(false);
  else if ($("#rl-fields:not([hidden])")) fields(false);
  else if (document.body.classList.contains("rl-opened") && getComputedStyle($("#rl-detail")).position === "fixed") back();
  else if (state.marked >= 0) mark(-1);
  else if (typing) box().select();
  else back();
}
function enter() {
  const now = options()[state.marked];
  if (now && box().value.trim() === state.asked) {
    open(now.dataset.rlOpen, linesOf(now));
    box().blur(); // so that the letters of what is done with a receipt are no longer typed into the box
  } else search(box().value, { again: true });
}
const letters = { e: () => mail(true), c: () => $(".rl-actions [data-rl-copy]")?.click(), u: () => $("[data-rl-undo]")?.click() };
document.addEventListener("keydown", (event) => {
  const typing = event.target === box();
  const elsewhere = !typing && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
  if (!box() || event.altKey || event.isComposing || $("dialog[open]")) return;
  if (elsewhere && event.key !== "Escape") return;
  const held = event.ctrlKey || event.metaKey;
  if ((event.key === "/" && !typing && !held) || (event.key.toLowerCase() === "k" && held)) {
    box().focus();
    box().select();
  } else if (held) return;
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    if (!options().length) return;
    mark(state.marked + (event.key === "ArrowDown" ? 1 : -1));
  } else if (event.key === "Enter" && (typing || event.target === document.body)) enter();
  else if (event.key === "Escape") escape(typing);
  else if (!typing && letters[event.key.toLowerCase()]) letters[event.key.toLowerCase()]();
  else return;
  event.preventDefault();
  event.stopPropagation();
}, true);
document.addEventListener("input", (event) => {
  if (event.target !== box()) return;
  clearTimeout(state.timer);
  const text = box().value;
  if (text.trim().length >= 3) state.timer = setTimeout(() => search(text), TYPING_PAUSE_MS);
}, true);

// --- Clicks -------------------------------------------------------------------------------------------------------
// Spans count characters as Python does, so letters outside the basic plane count once.
function span(of) {
  const [from, to] = of.split(",").map(Number);
  const all = [...state.asked];
  return { before: all.slice(0, from).join(""), inside: all.slice(from, to).join(""), after: all.slice(to).join("") };
}
async function copy(text, button, said) {
  await navigator.clipboard.writeText(text);
  const place = button.closest(".rl-actions")?.querySelector(".rl-said");
  if (!place) return;
  place.textContent = said;
  setTimeout(() => { place.textContent = ""; }, 2000);
}
function mail(shown) {
  const form = $(".rl-mail");
  if (!form) return;
  form.hidden = !shown;
  if (shown) form.querySelector("button[type=submit]").focus();
  else $(".rl-receipt")?.focus();
}
function fields(shown) {
  const form = $("#rl-fields");
  form.hidden = !shown;
  $("[data-rl-do=fields]")?.setAttribute("aria-expanded", String(shown));
  (shown ? form.querySelector("input") : box()).focus();
}
const done = {
  back,
  print: () => window.print(),
  mail: () => mail($(".rl-mail").hidden),
  fields: () => fields($("#rl-fields").hidden),
};
const actions = {
  rlOpen: (element, id) => open(id, linesOf(element)),
  rlAsk: (_, text) => put(text),
  rlDrop: (_, of) => {
    const { before, after } = span(of);
    put(`${before}${after}`.replace(/\s+/g, " ").trim());
  },
  rlSelect: (_, of) => {
    const { before, inside } = span(of);
    box().value = state.asked;
    box().focus();
    box().setSelectionRange(before.length, before.length + inside.length);
  },
  rlCopy: (element, text) => copy(text, element, "Number copied"),
  rlLink: (element, id) => copy(`${location.origin}${location.pathname}?receipt=${id}`, element, "Link copied"),
  rlDo: (_, what) => done[what]?.(),
};
document.addEventListener("click", (event) => {
  for (const [name, act] of Object.entries(actions)) {
    const attribute = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    const element = event.target.closest?.(`[data-${attribute}]`);
    if (element) return void act(element, element.dataset[name]);
  }
});
// An address is typed only where the one on file is not meant.
document.addEventListener("change", (event) => {
  const form = event.target.closest?.(".rl-mail");
  if (!form) return;
  const typed = form.querySelector("[name=email]");
  typed.disabled = form.querySelector("[value=file]")?.checked ?? false;
  if (!typed.disabled && event.target.name === "to") typed.focus();
});

// --- What comes back ----------------------------------------------------------------------------------------------
whenShown("rl-found-box", () => {
  const list = $("#rl-list");
  box()?.setAttribute("aria-expanded", String(Boolean(list)));
  if (list) list.scrollTop = 0;
  mark(-1);
  if (shownId()) select(shownId());
  const found = $("[data-rl-autoopen]");
  if (found && found.dataset.rlAutoopen !== shownId()) open(found.dataset.rlAutoopen, []);
});
whenShown("rl-paper-box", (paper) => {
  if (shownId()) {
    select(shownId());
    $("#rl-detail").scrollTop = 0;
  }
  document.body.classList.toggle("rl-opened", Boolean(paper.querySelector(".rl-receipt, .rl-message")));
});
whenShown("rl-top-box", () => {
  if (!box() || box().dataset.rlMet) return;
  box().dataset.rlMet = "yes";
  box().focus();
  const linked = new URLSearchParams(location.search).get("receipt");
  if (/^\d{22}$/.test(linked ?? "")) open(linked, []);
});
// More of the list: what came in a template, so that no id stands on the page twice, is put at its end.
whenShown("rl-more-box", (more) => {
  const list = $("#rl-list"), page = more.querySelector("[data-rl-more]"), button = $("#rl-results-more");
  if (!list || !page || page.dataset.rlMore !== button?.dataset.rlCursor) return;
  const { marked } = state;
  list.append(...[...page.content.querySelectorAll(".rl-result")].map((one) => one.cloneNode(true)));
  button.replaceWith(...[...page.content.querySelectorAll(".rl-more")].map((one) => one.cloneNode(true)));
  mark(marked);
});

// --- Mail under way, and contacts for half a minute ---------------------------------------------------------------
function countDown(element, tick, over) {
  const until = performance.now() + Number(element.dataset.rlSeconds) * 1000;
  const step = () => {
    if (!element.isConnected) return;
    const left = Math.ceil((until - performance.now()) / 1000);
    if (left <= 0) return over();
    tick(left);
    setTimeout(step, 200);
  };
  step();
}
whenShown("rl-snack-box", (shown) => {
  const snack = shown.querySelector("[data-rl-delivery]");
  if (!snack || snack.dataset.rlMet) return;
  snack.dataset.rlMet = "yes";
  mail(false);
  const look = () => ask("delivery", { delivery_id: snack.dataset.rlDelivery });
  if (snack.dataset.rlStatus === "scheduled") {
    const place = snack.querySelector("[data-rl-left]");
    countDown(snack, (left) => { if (place) place.textContent = String(left); }, () => {
      snack.querySelector("[data-rl-undo]")?.remove();
      look();
    });
  } else if (snack.dataset.rlStatus === "sending") setTimeout(() => { if (snack.isConnected) look(); }, SENDING_LOOK_MS);
  else {
    const zone = $("[data-rl-zone]")?.dataset.rlZone;
    if (zone && shownId() === snack.dataset.rlReceipt) ask("story", { receipt_id: snack.dataset.rlReceipt, zone });
    setTimeout(() => { if (snack.isConnected) snack.remove(); }, 6000);
  }
});
whenShown("rl-clear-box", (shown) => {
  const clear = shown.querySelector("[data-rl-clear]");
  if (!clear || clear.dataset.rlMet) return;
  clear.dataset.rlMet = "yes";
  const place = clear.querySelector("[data-rl-left]");
  countDown(clear, (left) => { place.textContent = String(left); }, () => {
    clear.remove(); // at once, whether or not the portal answers
    ask("mask");
  });
});
