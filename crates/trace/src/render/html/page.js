"use strict";
(() => {
  const get = (id) => document.getElementById(id);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const rows = all("details.row");
  const sections = all("details.sec");
  const find = get("find");
  const root = document.documentElement;
  let texts = null; // What each row says, in small letters, without the names of fields: made for the first search.
  let hits = [];
  let at = -1;

  const foldAll = (open) => sections.forEach((section) => { section.open = open; });
  const sectionOf = (element) => element && element.closest ? element.closest("details.sec") : null;
  const isShown = (row) => row.parentElement.open && row.getClientRects().length > 0;

  // Brings a row into view, wherever it is folded.
  const show = (row) => {
    row.parentElement.open = true;
    row.scrollIntoView({ block: "center" });
  };

  const said = (row) => [row.firstElementChild, ...row.querySelectorAll("dd")]
    .map((part) => part.textContent.toLowerCase()).join("\n");

  const search = () => {
    const words = find.value.trim().toLowerCase();
    rows.forEach((row) => row.classList.remove("hit", "here"));
    document.body.classList.toggle("searching", words !== "");
    hits = [];
    at = -1;
    if (words !== "") {
      texts = texts || rows.map(said);
      hits = rows.filter((row, i) => texts[i].includes(words));
      hits.forEach((row) => row.classList.add("hit"));
      step(1);
    }
    count(words);
  };

  const count = (words) => {
    const where = at < 0 ? "" : `${at + 1} of ${hits.length}`;
    get("hits").textContent = words === "" ? "" : hits.length === 0 ? "nothing found" : where;
  };

  const step = (by) => {
    if (hits.length === 0) return;
    if (at >= 0) hits[at].classList.remove("here");
    at = at < 0 ? 0 : (at + by + hits.length) % hits.length;
    const row = hits[at];
    if (row.classList.contains("tc")) tcp(true);
    row.classList.add("here");
    show(row);
    count(find.value);
  };

  const leave = () => {
    find.value = "";
    const row = hits[at];
    search();
    find.blur();
    if (row) row.firstElementChild.focus();
  };

  // Moves from row to row, over those that are folded.
  const move = (by) => {
    const here = document.activeElement ? document.activeElement.closest("details.row") : null;
    let i = here ? rows.indexOf(here) + by : by > 0 ? 0 : rows.length - 1;
    while (rows[i] && !isShown(rows[i])) i += by;
    if (!rows[i]) return;
    rows[i].firstElementChild.focus({ preventScroll: true });
    rows[i].scrollIntoView({ block: "nearest" });
  };

  const fold = () => {
    const section = sectionOf(document.activeElement) || sections.find((one) => one.getBoundingClientRect().bottom > 200);
    if (!section) return;
    section.open = !section.open;
    section.firstElementChild.focus();
  };

  const tcp = (on) => {
    document.body.classList.toggle("no-tcp", !on);
    get("tcp").setAttribute("aria-pressed", String(on));
  };
  const toggleTcp = () => tcp(document.body.classList.contains("no-tcp"));

  const theme = () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
  };

  const keys = {
    "/": () => { find.focus(); find.select(); },
    n: () => step(1),
    N: () => step(-1),
    j: () => move(1),
    k: () => move(-1),
    f: fold,
    F: () => foldAll(false),
    U: () => foldAll(true),
    p: toggleTcp,
    t: theme,
    "?": () => get("help").showModal(),
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || get("help").open) return;
    if (event.target === find) {
      if (event.key === "Enter") step(event.shiftKey ? -1 : 1);
      else if (event.key === "Escape") leave();
      else return;
      event.preventDefault();
    } else if (event.key === "Escape" && find.value !== "") {
      leave();
    } else if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      keys[event.key]();
    }
  });

  find.addEventListener("input", search);
  get("fold").addEventListener("click", () => foldAll(false));
  get("unfold").addEventListener("click", () => foldAll(true));
  get("tcp").addEventListener("click", toggleTcp);
  get("theme").addEventListener("click", theme);
  get("keys").addEventListener("click", keys["?"]);
  get("close").addEventListener("click", () => get("help").close());

  // A link to a section opens it; one to a row, the section around it.
  const follow = () => {
    const there = location.hash.length > 1 ? get(location.hash.slice(1)) : null;
    if (sections.includes(there)) there.open = true;
    if (rows.includes(there)) {
      if (there.classList.contains("tc")) tcp(true);
      show(there);
      there.firstElementChild.focus({ preventScroll: true });
    }
  };
  addEventListener("hashchange", follow);
  follow();

  // Paper cannot be unfolded.
  let folded = [];
  addEventListener("beforeprint", () => {
    folded = sections.filter((section) => !section.open);
    foldAll(true);
  });
  addEventListener("afterprint", () => folded.forEach((section) => { section.open = false; }));

  document.querySelector(".tools").hidden = false;
})();
