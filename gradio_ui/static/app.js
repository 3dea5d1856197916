// Keyboard, clicks and the life of a session. What is asked goes to Python as events; what is shown comes from there.
"use strict";
(() => {
  const TYPING_PAUSE_MS = 280; // between a fast typist's words: each pause asks the API, which records what it answers
  const state = { ready: false, asked: "", marked: -1, timer: 0 };
  const flying = new Set(), waiting = new Map(); // kinds of asking: on its way, and the last one held back until then
  const $ = (selector) => document.querySelector(selector);
  const box = () => $("#rl-q");
  const options = () => [...document.querySelectorAll("#rl-list [role=option]")];

  // --- Asking -----------------------------------------------------------------------------------------------------
  // One of a kind at a time, and of those that come meanwhile the last. Gradio's "always_last" is not used: it asks
  // again what was asked first, and after a failure nothing at all.
  function ask(kind, data) {
    if (!state.ready || flying.has(kind)) return void waiting.set(kind, data);
    flying.add(kind);
    document.body.classList.add("rl-busy");
    document.dispatchEvent(new CustomEvent("rl:ask", { detail: { kind, data } }));
  }
  function askWaiting() {
    for (const [kind, data] of [...waiting]) {
      if (flying.has(kind)) continue;
      waiting.delete(kind);
      ask(kind, data);
    }
  }
  document.addEventListener("rl:ready", () => {
    state.ready = true;
    askWaiting();
  });
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
  function select(receiptId) {
    for (const option of options()) option.setAttribute("aria-selected", String(option.dataset.rlOpen === receiptId));
  }

  // --- The list under the keyboard --------------------------------------------------------------------------------
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
  document.addEventListener("keydown", (event) => {
    const typing = event.target === box();
    const elsewhere = !typing && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
    if (!box() || elsewhere || event.altKey || event.isComposing || $("dialog[open]")) return;
    const find = (event.key === "/" && !typing) || (event.key.toLowerCase() === "k" && (event.ctrlKey || event.metaKey));
    if (find) {
      box().focus();
      box().select();
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!options().length) return;
      mark(state.marked + (event.key === "ArrowDown" ? 1 : -1));
    } else if (event.key === "Enter" && (typing || event.target === document.body)) {
      const now = options()[state.marked];
      if (now && box().value.trim() === state.asked) open(now.dataset.rlOpen, linesOf(now));
      else search(box().value, { again: true });
    } else if (event.key === "Escape") {
      const menu = $(".rl-menu[open]");
      if (menu) menu.open = false;
      else if (document.body.classList.contains("rl-opened") && getComputedStyle($("#rl-detail")).position === "fixed") back();
      else if (state.marked >= 0) mark(-1);
      else if (typing) box().select();
      else back();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  document.addEventListener("input", (event) => {
    if (event.target !== box()) return;
    clearTimeout(state.timer);
    const text = box().value;
    if (text.trim().length >= 3) state.timer = setTimeout(() => search(text), TYPING_PAUSE_MS);
  }, true);

  // --- Clicks -----------------------------------------------------------------------------------------------------
  // Spans count characters as Python does, so letters outside the basic plane count once.
  function span(of) {
    const [from, to] = of.split(",").map(Number);
    const letters = [...state.asked];
    return { before: letters.slice(0, from).join(""), inside: letters.slice(from, to).join(""), after: letters.slice(to).join("") };
  }
  async function copy(text, button, said) {
    await navigator.clipboard.writeText(text);
    const place = button.closest(".rl-actions")?.querySelector(".rl-said");
    if (place) place.textContent = said;
    setTimeout(() => { if (place) place.textContent = ""; }, 2000);
  }
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
    rlDo: (_, what) => (what === "theme" ? theme() : back()),
  };
  document.addEventListener("click", (event) => {
    const menu = $(".rl-menu[open]");
    if (menu && !menu.contains(event.target)) menu.open = false;
    for (const [name, act] of Object.entries(actions)) {
      const attribute = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      const element = event.target.closest?.(`[data-${attribute}]`);
      if (element) return void act(element, element.dataset[name]);
    }
  });

  // --- Light and dark: the only thing kept in the browser -----------------------------------------------------------
  function theme() {
    const dark = document.body.classList.toggle("dark");
    localStorage.setItem("receipts-theme", dark ? "dark" : "light");
  }
  function rememberedTheme() {
    const kept = localStorage.getItem("receipts-theme");
    if (kept) document.body.classList.toggle("dark", kept === "dark");
  }

  // --- What comes back --------------------------------------------------------------------------------------------
  function settle() {
    const list = $("#rl-list");
    box()?.setAttribute("aria-expanded", String(Boolean(list)));
    if (list) list.scrollTop = 0;
    mark(-1);
    const shown = $("[data-rl-shown]")?.dataset.rlShown;
    if (shown) select(shown);
    const found = $("[data-rl-autoopen]");
    if (found && found.dataset.rlAutoopen !== shown) open(found.dataset.rlAutoopen, []);
    if ($("[data-rl-ended]")) ended();
  }
  function shown() {
    const paper = $("[data-rl-shown]");
    if (paper) {
      select(paper.dataset.rlShown);
      $("#rl-detail").scrollTop = 0;
    }
    document.body.classList.toggle("rl-opened", Boolean($("#rl-paper-box :is(.rl-receipt, .rl-message)")));
    if ($("[data-rl-ended]")) ended();
  }
  function ended() {
    if ($(".rl-dialog")) return;
    const dialog = document.createElement("dialog");
    dialog.className = "rl-dialog";
    dialog.innerHTML = '<h2>Your session has ended</h2><p>Sign in again in a new tab; this page and your search stay as they are.</p>'
      + '<a class="rl-button rl-primary" href="/sign-in?next=/signed-in" target="_blank">Sign in again</a>';
    document.body.append(dialog);
    dialog.showModal();
  }
  new BroadcastChannel("receipts").onmessage = ({ data }) => {
    if (data.principal !== $(".rl-top")?.dataset.principal) return void location.reload(); // somebody else works here now
    $(".rl-dialog")?.remove();
    search(box().value, { again: true });
  };
  function notice(text) {
    $(".rl-notice")?.remove();
    const box = Object.assign(document.createElement("div"), { className: "rl-notice", role: "alert", textContent: text });
    document.body.append(box);
    setTimeout(() => box.remove(), 6000);
  }
  const real = window.fetch.bind(window);
  // Gradio never sees a failure: it would write "Error" over the page, or reload it and lose what stands there.
  const unchanged = () => Response.json({ data: [{ __type__: "update" }, { __type__: "update" }], is_generating: false });
  window.fetch = async (...given) => {
    if (!String(given[0]?.url ?? given[0]).includes("/run/predict")) return real(...given);
    const asked = JSON.parse(given[1].body).event_data;
    const answer = await real(...given).catch(() => null);
    if (asked) flying.delete("text" in asked ? "search" : "open");
    document.body.classList.toggle("rl-busy", flying.size > 0);
    setTimeout(askWaiting); // when this answer stands on the page
    if (answer?.ok) return answer;
    state.asked = "";
    if (answer?.status === 401) ended();
    else notice("The portal cannot answer at the moment. Try again shortly.");
    return unchanged();
  };

  // --- Beginning --------------------------------------------------------------------------------------------------
  function begin() {
    const found = $("#rl-found-box"), paper = $("#rl-paper-box"), top = $("#rl-top-box");
    if (!found || !paper || !top) return false;
    rememberedTheme();
    new MutationObserver(settle).observe(found, { childList: true, subtree: true });
    new MutationObserver(shown).observe(paper, { childList: true, subtree: true });
    new MutationObserver((_, self) => {
      if (!box()) return;
      self.disconnect();
      box().focus();
      const linked = new URLSearchParams(location.search).get("receipt");
      if (/^\d{22}$/.test(linked ?? "")) open(linked, []);
    }).observe(top, { childList: true, subtree: true });
    return true;
  }
  const loading = new MutationObserver(() => { if (begin()) loading.disconnect(); });
  loading.observe(document.documentElement, { childList: true, subtree: true });
})();
