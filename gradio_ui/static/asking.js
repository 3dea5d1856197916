// What every page shares: how it asks Python, forms and buttons that ask, the life of a session, light and dark.
// What is asked goes to Python as events of one part; what is shown comes back as finished HTML of other parts.

const state = { ready: false };
const flying = new Set(), waiting = new Map(); // kinds of asking: on its way, and the last one held back until then
const failing = []; // who wants to know that something could not be asked
export const $ = (selector) => document.querySelector(selector);

// --- Asking -------------------------------------------------------------------------------------------------------
// One of a kind at a time, and of those that come meanwhile the last. Gradio's "always_last" is not used: it asks
// again what was asked first, and after a failure nothing at all.
export function ask(kind, data = {}) {
  if (!state.ready || flying.has(kind)) return void waiting.set(kind, data);
  flying.add(kind);
  document.body.classList.add("rl-busy");
  document.dispatchEvent(new CustomEvent("rl:ask", { detail: { kind, data: { ...data, kind } } }));
}
function askWaiting() {
  for (const [kind, data] of [...waiting]) {
    if (flying.has(kind)) continue;
    waiting.delete(kind);
    ask(kind, data);
  }
}
function beReady() {
  state.ready = true;
  askWaiting();
}
document.addEventListener("rl:ready", beReady);
if (window.receiptsBridge) beReady(); // Gradio was first
export const whenFailed = (told) => failing.push(told);

// --- Forms and buttons that ask -----------------------------------------------------------------------------------
// <form data-rl-form="kind"> sends its filled-in fields, <button data-rl-send="kind" data-rl-with="{json}"> its own.
function fieldsOf(form, pressed) {
  const fields = pressed?.name ? { [pressed.name]: pressed.value } : {};
  for (const input of form.elements) {
    if (!input.name || input.disabled || input.type === "submit") continue;
    if (input.type === "checkbox") fields[input.name] = input.checked;
    else if (input.type === "radio" && !input.checked) continue;
    else if (input.value.trim() !== "") fields[input.name] = isNumber(input) ? Number(input.value) : input.value;
  }
  return fields;
}
const isNumber = (input) => input.type === "number" || "rlNumber" in input.dataset;
document.addEventListener("submit", (event) => {
  const form = event.target.closest("[data-rl-form]");
  if (!form) return;
  event.preventDefault();
  ask(form.dataset.rlForm, fieldsOf(form, event.submitter));
}, true);
document.addEventListener("click", (event) => {
  const menu = $(".rl-menu[open]");
  if (menu && !menu.contains(event.target)) menu.open = false;
  const button = event.target.closest?.("[data-rl-send]");
  if (button) ask(button.dataset.rlSend, JSON.parse(button.dataset.rlWith || "{}"));
  if (event.target.closest?.("[data-rl-theme]")) theme();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && $(".rl-menu[open]")) $(".rl-menu[open]").open = false;
});

// --- What comes back ----------------------------------------------------------------------------------------------
// Calls `told(box)` whenever the part with this id shows something else, also the first time.
export function whenShown(id, told) {
  const watch = () => {
    const box = document.getElementById(id);
    if (!box) return false;
    new MutationObserver(() => told(box)).observe(box, { childList: true, subtree: true });
    told(box);
    return true;
  };
  if (watch()) return;
  const loading = new MutationObserver(() => { if (watch()) loading.disconnect(); });
  loading.observe(document.documentElement, { childList: true, subtree: true });
}
export function notice(text) {
  $(".rl-notice")?.remove();
  const box = Object.assign(document.createElement("div"), { className: "rl-notice", role: "alert", textContent: text });
  document.body.append(box);
  setTimeout(() => box.remove(), 6000);
}
const real = window.fetch.bind(window);
// Gradio never sees a failure: it would write "Error" over the page, or reload it and lose what stands there.
function unchanged(index) {
  const parts = window.gradio_config?.dependencies.find((one) => one.id === index)?.outputs.length ?? 1;
  return Response.json({ data: Array(parts).fill({ __type__: "update" }), is_generating: false });
}
window.fetch = async (...given) => {
  if (!String(given[0]?.url ?? given[0]).includes("/run/predict")) return real(...given);
  const sent = JSON.parse(given[1].body);
  const answer = await real(...given).catch(() => null);
  flying.delete(sent.event_data?.kind);
  document.body.classList.toggle("rl-busy", flying.size > 0);
  setTimeout(askWaiting); // when this answer stands on the page
  if (answer?.ok) return answer;
  for (const told of failing) told(sent.event_data?.kind);
  if (answer?.status === 401) ended();
  else notice("The portal cannot answer at the moment. Try again shortly.");
  return unchanged(sent.fn_index);
};

// --- The session --------------------------------------------------------------------------------------------------
const again = []; // what to do when somebody has signed in again
export const whenSignedInAgain = (told) => again.push(told);
function ended() {
  if ($(".rl-dialog")) return;
  const dialog = document.createElement("dialog");
  dialog.className = "rl-dialog";
  dialog.innerHTML = '<h2>Your session has ended</h2><p>Sign in again in a new tab; this page and what you typed stay as they are.</p>'
    + '<a class="rl-button rl-primary" href="/sign-in?next=/signed-in" target="_blank">Sign in again</a>';
  document.body.append(dialog);
  dialog.showModal();
}
new MutationObserver(() => { if ($("[data-rl-ended]")) ended(); }).observe(document, { childList: true, subtree: true });
new BroadcastChannel("receipts").onmessage = ({ data }) => {
  if (data.principal !== $(".rl-top")?.dataset.principal) return void location.reload(); // somebody else works here now
  $(".rl-dialog")?.remove();
  $("[data-rl-ended]")?.removeAttribute("data-rl-ended");
  for (const told of again) told();
};

// --- Light and dark: the only thing kept in the browser -------------------------------------------------------------
function theme() {
  const dark = document.body.classList.toggle("dark");
  localStorage.setItem("receipts-theme", dark ? "dark" : "light");
}
whenShown("rl-top-box", () => {
  const kept = localStorage.getItem("receipts-theme");
  if (kept) document.body.classList.toggle("dark", kept === "dark");
});
