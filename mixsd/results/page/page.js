/* The page's own script. Text of models goes into the page by `textContent` alone. */
"use strict";
(() => {
  const PAGE = JSON.parse(document.getElementById("page").textContent);
  const ROWS = 50; // answers shown at a time
  const LONGEST = 400; // words of a text that are compared
  const ALIKE = 0.4; // the least share of common words at which a comparison is shown
  const $ = (id) => document.getElementById(id);

  function make(name, text, attributes = {}) {
    const element = document.createElement(name);
    if (text !== undefined && text !== null) element.textContent = text;
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  // Figures

  const dark = matchMedia("(prefers-color-scheme: dark)");
  function theme() {
    const colour = dark.matches ? "#e6e8eb" : "#1c1e21", line = dark.matches ? "#3a3f47" : "#d9dce1";
    const words = { labelColor: colour, titleColor: colour };
    return { background: "transparent", view: { stroke: line }, title: { color: colour }, legend: words,
      axis: { ...words, gridColor: line, domainColor: line, tickColor: line }, header: words };
  }
  async function draw() {
    for (const place of document.querySelectorAll("[data-figure]")) {
      const figure = PAGE.figures[place.dataset.figure];
      const spec = { ...figure.spec, data: { values: figure.rows } };
      const actions = { export: true, source: false, compiled: false, editor: false };
      const { view } = await vegaEmbed(place, spec, { actions, config: theme(), renderer: "svg" });
      view.addEventListener("click", (_, item) => {
        const row = item && item.datum;
        if (row && row.run_id in PAGE.runs) go({ run: row.run_id });
        else if (row && row.doc_id !== undefined) go({ run: figure.runs.join(","), part: `held_out/${row.task}`, item: row.doc_id });
      });
    }
    document.body.dataset.drawn = "yes";
  }

  // Tables

  function value(cell) {
    const shown = cell.dataset.value ?? cell.textContent;
    const number = parseFloat(shown.replace(/^[^\d+-]*/, ""));
    return Number.isNaN(number) ? shown : number;
  }
  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      head.tabIndex = 0;
      const sort = () => {
        const up = head.getAttribute("aria-sort") !== "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", up ? "ascending" : "descending");
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => {
          const [x, y] = [value(a.cells[column]), value(b.cells[column])];
          const order = typeof x === "number" && typeof y === "number" ? x - y : String(x).localeCompare(String(y));
          return up ? order : -order;
        });
        table.tBodies[0].append(...rows);
      };
      head.addEventListener("click", sort);
      head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
    });
    if (table.tBodies[0].rows.length > 8) {
      const find = make("input", null, { type: "search", placeholder: "search this table", "aria-label": "search this table" });
      find.addEventListener("input", () => {
        for (const row of table.tBodies[0].rows) row.hidden = !row.textContent.toLowerCase().includes(find.value.toLowerCase());
      });
      table.before(find);
    }
  }
  function table(columns, rows, kind = "sorts") {
    const made = make("table", null, { class: kind }), body = make("tbody"), head = make("thead"), top = make("tr");
    columns.forEach((column) => top.append(make("th", column)));
    head.append(top);
    for (const cells of rows) {
      const row = make("tr");
      for (const cell of cells) {
        const place = make("td");
        if (cell instanceof Node) place.append(cell);
        else if (typeof cell === "number") { place.textContent = shown(cell); place.dataset.value = cell; }
        else place.textContent = cell === null || cell === undefined ? "" : String(cell);
        row.append(place);
      }
      body.append(row);
    }
    made.append(head, body);
    const wide = make("div", null, { class: "wide" });
    wide.append(made);
    if (kind === "sorts") sortable(made);
    return wide;
  }
  const shown = (number) => Number.isInteger(number) ? number.toLocaleString("en") : Number(number.toPrecision(3)).toString();

  // Answers, unpacked when they are asked for

  const unpacked = new Map();
  const scripts = new Map();
  function beside(key) {
    if (!scripts.has(key)) scripts.set(key, new Promise((resolve, reject) => {
      const script = make("script", null, { src: `items/${key}.js` });
      script.onload = () => resolve(window.MIXSD_ITEMS[key]);
      script.onerror = () => reject(new Error(`items/${key}.js is not beside this page`));
      document.head.append(script);
    }));
    return scripts.get(key);
  }
  async function payload(key) {
    if (!unpacked.has(key)) {
      const element = $(`items-${key}`);
      const packed = element ? element.textContent : await beside(key);
      const bytes = Uint8Array.from(atob(packed.trim()), (letter) => letter.charCodeAt(0));
      const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
      unpacked.set(key, JSON.parse(await new Response(stream).text()));
    }
    return unpacked.get(key);
  }

  // One run, or several in a row

  let state = { run: "", part: "", filter: "all", q: "", item: "" };
  const read = () => Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
  function go(changes) {
    const next = { ...state, ...changes };
    if (changes.run !== undefined && changes.item === undefined) next.item = "";
    const words = new URLSearchParams(Object.entries(next).filter(([key, word]) => word !== "" && word !== undefined && !(key === "filter" && word === "all")));
    location.hash = words.toString();
  }
  const FILTERS = {
    all: ["all answers", () => true],
    lost: ["was right, now wrong", (row) => row.before === "correct" && row.sides.some((side) => side && side.outcome !== "correct")],
    gained: ["was wrong, now right", (row) => row.before !== "correct" && row.sides.some((side) => side && side.outcome === "correct")],
    leaks: ["names a trained answer", (row) => row.sides.some((side) => side && side.leaks.length)],
    cut: ["cut off", (row) => row.sides.some((side) => side && side.outcome === "truncated")],
    apart: ["methods differ", (row) => new Set(row.sides.filter(Boolean).map((side) => side.outcome === "correct")).size > 1],
  };

  async function showRuns() {
    const place = $("run");
    const ids = state.run.split(",").filter((id) => id in PAGE.runs).slice(0, 4);
    place.replaceChildren();
    place.hidden = !ids.length;
    document.querySelectorAll("[data-run]").forEach((row) => row.classList.toggle("chosen", ids.includes(row.dataset.run)));
    if (!ids.length) return;
    const runs = ids.map((id) => PAGE.runs[id]);
    place.append(make("h2", runs.map((run) => `${run.label}, seed ${run.seed}`).join("  |  "), { tabindex: -1 }));
    place.append(bar(runs), about(runs));
    const answers = make("div");
    place.append(answers);
    try { await showAnswers(answers, runs); }
    catch (error) { answers.append(make("p", error.message, { class: "note" })); }
    document.body.dataset.shown = location.hash;
  }
  function bar(runs) {
    const made = make("div", null, { class: "bar" });
    const close = make("button", "close (Esc)");
    close.addEventListener("click", () => go({ run: "" }));
    const add = make("select", null, { "aria-label": "compare with another run" });
    add.append(make("option", "compare with ...", { value: "" }));
    for (const [id, run] of Object.entries(PAGE.runs))
      if (run.group === runs[0].group && !runs.some((one) => one.id === id)) add.append(make("option", `${run.label}, seed ${run.seed}`, { value: id }));
    add.addEventListener("change", () => go({ run: [...runs.map((run) => run.id), add.value].join(","), item: state.item }));
    made.append(close);
    if (runs.length < 4) made.append(add);
    return made;
  }
  function about(runs) {
    const made = make("div");
    const names = runs.map((run) => `${run.label}, seed ${run.seed}`);
    const keys = [...new Set(runs.flatMap((run) => run.differs))];
    made.append(make("h3", "Held-out tasks, tuned minus base in points"));
    const tasks = [...new Set(runs.flatMap((run) => run.tasks.map((task) => task.task)))];
    made.append(table(["task", ...names], tasks.map((name) => [name, ...runs.map((run) => delta(run.tasks.find((task) => task.task === name)))])));
    made.append(make("h3", "Probes, before and after"));
    const splits = [...new Set(runs.flatMap((run) => run.splits.map((split) => split.split)))];
    made.append(table(["split", ...names], splits.map((name) => [name, ...runs.map((run) => beforeAfter(run.splits.find((split) => split.split === name)))])));
    const rows = runs.flatMap((run) => run.losses.map(([step, loss]) => ({ step, loss, run: `${run.label}, seed ${run.seed}` })));
    if (rows.length) made.append(lossCurve(rows));
    if (keys.length) {
      const own = make("details");
      own.append(make("summary", `what tells them from their neighbours: ${keys.length} settings`));
      own.append(table(["setting", ...names], keys.map((key) => [key, ...runs.map((run) => word(run.settings[key]))])));
      made.append(own);
    }
    for (const run of runs) {
      const more = make("details");
      more.append(make("summary", `settings, cost and origin of ${run.id}`));
      const seconds = Object.entries(run.cost).map(([stage, cost]) => [stage, cost.seconds, cost.trained_tokens, cost.generated_tokens, cost.forward_passes, cost.peak_memory_bytes / 2 ** 30]);
      more.append(table(["stage", "seconds", "trained tokens", "written tokens", "forward passes", "peak GiB"], seconds));
      more.append(table(["setting", "value"], Object.entries(run.settings).map(([key, setting]) => [key, word(setting)])));
      more.append(table(["made by", ""], Object.entries(run.made_by).map(([key, made_by]) => [key, word(made_by)])));
      made.append(more);
    }
    return made;
  }
  function lossCurve(rows) {
    const made = make("details"), place = make("div");
    made.append(make("summary", "loss by step"), place);
    const field = (name, type, title) => ({ field: name, type, title });
    const spec = {
      width: 480, height: 200, data: { values: rows }, mark: "line",
      encoding: { x: field("step", "quantitative", "optimiser step"), y: field("loss", "quantitative", "loss"), color: field("run", "nominal", null) },
    };
    made.addEventListener("toggle", () => { if (made.open) vegaEmbed(place, spec, { actions: false, config: theme(), renderer: "svg" }); });
    return made;
  }
  const word = (setting) => setting === undefined ? "" : typeof setting === "object" && setting !== null ? JSON.stringify(setting) : String(setting);
  const points = (share) => `${share >= 0 ? "+" : ""}${(100 * share).toFixed(1)}`;
  function delta(task) {
    if (!task || task.base === null || task.tuned === null) return "";
    const ends = task.interval ? ` [${points(task.interval[0])}, ${points(task.interval[1])}]` : "";
    return `${points(task.tuned - task.base)}${ends} (n=${task.n}${task.included ? "" : ", not counted"})`;
  }
  const beforeAfter = (split) => split ? `${split.before.toFixed(2)} -> ${split.after.toFixed(2)} [${split.interval.map((end) => end.toFixed(2)).join(", ")}] (${split.n})` : "";

  async function showAnswers(place, runs) {
    place.append(make("h3", "Every answer"));
    if (runs.some((run) => run.private)) place.append(make("p", "This run keeps its text to itself: lengths and hashes stand for it.", { class: "note" }));
    const base = await payload(runs[0].items.base);
    const own = await Promise.all(runs.map((run) => payload(run.items.own)));
    const parts = [...Object.keys(base.held_out).map((name) => `held_out/${name}`), ...Object.keys(base.probes).map((name) => `probes/${name}`)];
    if (own.some((one) => one.targets.length)) parts.push("targets");
    const part = parts.includes(state.part) ? state.part : parts[0];
    const controls = make("div", null, { class: "bar" });
    controls.append(select("part", parts.map((name) => [name, name]), part));
    place.append(controls);
    if (part === "targets") { place.append(targets(runs, own)); return; }
    controls.append(select("filter", Object.entries(FILTERS).map(([key, [name]]) => [key, name]), state.filter || "all"));
    const find = make("input", state.q, { type: "search", placeholder: "search answers ( / )", id: "find", value: state.q || "" });
    find.addEventListener("change", () => go({ q: find.value }));
    controls.append(find);
    const all = joined(part, base, own);
    const chosen = (FILTERS[state.filter] || FILTERS.all)[1];
    const wanted = (state.q || "").toLowerCase();
    let rows = all.filter(chosen);
    if (wanted) rows = rows.filter((row) => [row.prompt, row.text, ...row.sides.map((side) => side ? side.text : "")].some((text) => text.toLowerCase().includes(wanted)));
    if (state.item !== "" && state.item !== undefined) rows = all.filter((row) => String(row.id) === String(state.item));
    const count = make("span", `${rows.length} of ${all.length}`, { class: "note", id: "count" });
    controls.append(count);
    if (state.item) {
      const back = make("button", "all of them");
      back.addEventListener("click", () => go({ item: "" }));
      controls.append(back);
    }
    const list = make("div");
    place.append(list);
    let from = 0;
    const more = make("button", "more");
    const next = () => {
      list.append(answerTable(rows.slice(from, from + ROWS), runs));
      from += ROWS;
      more.hidden = from >= rows.length;
    };
    more.addEventListener("click", next);
    place.append(more);
    next();
  }
  function select(key, options, chosen) {
    const made = make("select", null, { id: key, "aria-label": key });
    for (const [name, text] of options) made.append(make("option", text, { value: name }));
    made.value = chosen;
    made.addEventListener("change", () => go({ [key]: made.value, item: "" }));
    return made;
  }
  function joined(part, base, own) {
    const [kind, name] = [part.slice(0, part.indexOf("/")), part.slice(part.indexOf("/") + 1)];
    // By id: runs may have been asked different documents.
    const answered = own.map((one) => new Map((one[kind][name] || []).map((side) => [side[0], side])));
    return base[kind][name].map((row) => {
      const [id, prompt, accepted, text, before, score] = row;
      const sides = answered.map((one) => {
        const side = one.get(id);
        if (!side) return null;
        const [, reply, outcome, score, contaminated = false, leaks = []] = side;
        return { text: reply, outcome, score, contaminated, leaks };
      });
      return { id, prompt, accepted, text, before, score, sides };
    });
  }
  function answerTable(rows, runs) {
    const made = table(["", "question", "accepted", "base model", ...runs.map((run) => `${run.label}, seed ${run.seed}`)], rows.map((row) => [
      link(row.id), row.prompt, row.accepted, reply(row.text, row.before, []),
      ...row.sides.map((side) => side ? reply(difference(row.text, side.text), side.outcome, side.leaks, side.contaminated) : ""),
    ]), "answers");
    for (const line of made.querySelectorAll("tbody tr")) line.cells[0].className = "key";
    return made;
  }
  function link(id) {
    const made = make("a", String(id), { href: "#", title: "this answer alone; the address can be sent" });
    made.addEventListener("click", (event) => { event.preventDefault(); go({ item: id }); });
    return made;
  }
  function reply(content, outcome, leaks, contaminated) {
    const made = make("div");
    made.append(make("span", outcome + (leaks.length ? `; names ${leaks.join(", ")}` : "") + (contaminated ? "; not counted: the facts give it away" : ""), { class: `outcome ${outcome}` }));
    made.append(content);
    return made;
  }
  function difference(before, after) {
    const [a, b] = [before, after].map((text) => text.match(/\S+\s*|\s+/g) || []);
    if (a.length > LONGEST || b.length > LONGEST || before === after) return document.createTextNode(after);
    const same = (i, j) => a[i].trim() === b[j].trim();
    // Longest common subsequence of words, from the end.
    const best = Array.from({ length: a.length + 1 }, () => new Uint16Array(b.length + 1));
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        best[i][j] = same(i, j) ? best[i + 1][j + 1] + 1 : Math.max(best[i + 1][j], best[i][j + 1]);
    // Of two texts with little in common, the words that happen to stand in both say nothing.
    if (best[0][0] < ALIKE * Math.max(a.length, b.length)) return document.createTextNode(after);
    const made = document.createDocumentFragment();
    let gone = "", come = "";
    const flush = () => {
      if (gone) made.append(make("del", gone.trimEnd()), " ");
      if (come) made.append(make("ins", come));
      gone = come = "";
    };
    let i = 0, j = 0;
    while (i < a.length || j < b.length) {
      if (i < a.length && j < b.length && same(i, j)) { flush(); made.append(b[j]); i++; j++; }
      else if (j < b.length && (i === a.length || best[i][j + 1] > best[i + 1][j])) come += b[j++];
      else gone += a[i++];
    }
    flush();
    return made;
  }
  function targets(runs, own) {
    const made = make("div");
    made.append(make("p", "Coloured by who supplied a token; without colour: both conditionals agreed, or the gold text.", { class: "note" }));
    const legend = make("p");
    for (const [letter, name] of Object.entries(PAGE.provenance)) legend.append(make("span", name, { class: `token from-${letter}` }), " ");
    made.append(legend);
    const facts = [...new Set(own.flatMap((one) => one.targets.map((target) => target[0])))];
    made.append(table(["fact", ...runs.map((run) => `${run.label}, seed ${run.seed}`)], facts.map((fact) => [fact, ...own.map((one) => {
      const target = one.targets.find((other) => other[0] === fact);
      if (!target) return "dropped";
      const text = make("span");
      target[3].forEach((piece, number) => text.append(make("span", piece, { class: `token from-${target[2][number].toLowerCase()}` })));
      return text;
    })]), "answers"));
    return made;
  }

  // Beginning

  document.querySelectorAll("table.sorts").forEach(sortable);
  for (const link of document.querySelectorAll("[data-to]"))
    link.addEventListener("click", (event) => { event.preventDefault(); $(link.dataset.to).scrollIntoView(); });
  for (const row of document.querySelectorAll("[data-run]")) {
    row.tabIndex = 0;
    const open = () => go({ run: row.dataset.run });
    row.addEventListener("click", open);
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") open(); });
  }
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") go({ run: "" });
    const typing = /INPUT|SELECT|TEXTAREA/.test(document.activeElement.tagName);
    if (event.key === "/" && !typing && $("find")) { event.preventDefault(); $("find").focus(); }
    if (["ArrowLeft", "ArrowRight"].includes(event.key) && !typing && state.run) {
      const ids = Object.keys(PAGE.runs), at = ids.indexOf(state.run.split(",")[0]);
      go({ run: ids[(at + (event.key === "ArrowRight" ? 1 : ids.length - 1)) % ids.length] });
    }
  });
  async function follow() {
    const before = state.run;
    state = { run: "", part: "", filter: "all", q: "", item: "", ...read() };
    await showRuns();
    if (state.run && state.run !== before) $("run").scrollIntoView();
  }
  addEventListener("hashchange", follow);
  dark.addEventListener("change", draw);
  draw().then(follow);
})();
