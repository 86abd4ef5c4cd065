"use strict";
// Lays out what the page already holds: nothing is computed from elsewhere, nothing is fetched, and foreign
// text reaches the document as text alone.
(() => {
  const CHUNK = 1500; // rows that are drawn at once: a browser stays quick with these
  const byId = (id) => document.getElementById(id);
  const bar = byId("bar");
  const objects = [...document.querySelectorAll(".object")].map((element) => ({
    element,
    action: element.dataset.action,
    source: element.querySelector("pre.diff"),
    name: element.querySelector("summary").textContent.toLowerCase(),
    content: null, // in lower case, once somebody searches
    drawn: null, // the layout it was drawn in
  }));
  const groups = [...document.querySelectorAll(".group")].map((element) => ({
    element,
    name: element.querySelector("summary").textContent.toLowerCase(),
    objects: objects.filter((object) => element.contains(object.element)),
  }));
  let sideBySide = matchMedia("(min-width: 1000px)").matches;

  const make = (tag, kind, text) => {
    const made = document.createElement(tag);
    if (kind) made.className = kind;
    if (text !== undefined) made.textContent = text;
    return made;
  };

  // A unified diff as rows: [kind, number before, number after, text before, text after].
  const parse = (text) => {
    const rows = [];
    let [before, after, gone, come] = [0, 0, [], []];
    const flush = () => {
      for (let at = 0; at < Math.max(gone.length, come.length); at += 1) {
        const [old, fresh] = [at < gone.length, at < come.length];
        rows.push(["change", old ? before++ : 0, fresh ? after++ : 0, old ? gone[at] : null, fresh ? come[at] : null]);
      }
      [gone, come] = [[], []];
    };
    for (const line of text.split("\n")) {
      const rest = line.slice(1);
      if (line[0] === "-") gone.push(rest);
      else if (line[0] === "+") come.push(rest);
      else {
        flush();
        const head = /^@@ -(\d+)(?:,\d+)? \+(\d+)/.exec(line);
        if (head) {
          [before, after] = [Number(head[1]), Number(head[2])];
          rows.push(["hunk", 0, 0, line, null]);
        } else rows.push(["same", before++, after++, rest, rest]);
      }
    }
    flush();
    return rows;
  };

  // One side of a changed line, with the part marked in which it differs from the other.
  const cell = (kind, text, other) => {
    const made = make("td", kind);
    if (other === null || text === other) {
      made.textContent = text;
      return made;
    }
    const most = Math.min(text.length, other.length);
    let [start, end] = [0, 0];
    while (start < most && text[start] === other[start]) start += 1;
    while (end < most - start && text[text.length - 1 - end] === other[other.length - 1 - end]) end += 1;
    if (start + end < most / 3) {
      made.textContent = text; // hardly anything is shared
      return made;
    }
    made.append(text.slice(0, start), make("mark", "", text.slice(start, text.length - end)), text.slice(text.length - end));
    return made;
  };
  const number = (value) => make("td", "no", value ? String(value) : "");
  const row = (...cells) => {
    const made = make("tr");
    made.append(...cells);
    return made;
  };
  const hunk = (text, wide) => {
    const made = make("td", "hunk", text);
    made.colSpan = wide;
    return row(made);
  };

  const paired = ([kind, a, b, old, fresh]) => {
    if (kind === "hunk") return hunk(old, 4);
    const side = (name, text, other) => (text === null ? make("td", "none") : cell(kind === "same" ? "" : name, text, other));
    return row(number(a), side("a", old, fresh), number(b), side("b", fresh, old));
  };
  const stacked = (rows) => {
    const made = [];
    let [gone, come] = [[], []];
    const flush = () => {
      made.push(...gone, ...come);
      [gone, come] = [[], []];
    };
    for (const [kind, a, b, old, fresh] of rows) {
      if (kind === "change") {
        if (old !== null) gone.push(row(number(a), number(0), cell("a", old, fresh)));
        if (fresh !== null) come.push(row(number(0), number(b), cell("b", fresh, old)));
        continue;
      }
      flush();
      made.push(kind === "hunk" ? hunk(old, 3) : row(number(a), number(b), make("td", "", old)));
    }
    flush();
    return made;
  };

  const draw = (object) => {
    const layout = sideBySide ? "side" : "unified";
    if (!object.source || object.drawn === layout) return;
    object.drawn = layout;
    object.element.querySelectorAll(".drawn").forEach((old) => old.remove());
    const rows = parse(object.source.textContent);
    const table = make("table", "diff drawn");
    const columns = make("colgroup");
    (sideBySide ? ["no", "", "no", ""] : ["no", "no", ""]).forEach((kind) => columns.append(make("col", kind)));
    const body = make("tbody");
    table.append(columns, body);
    object.source.hidden = true;
    object.source.after(table);
    const more = make("button", "more drawn");
    more.type = "button";
    let shown = 0;
    const next = () => {
      const part = rows.slice(shown, shown + CHUNK);
      shown += part.length;
      body.append(...(sideBySide ? part.map(paired) : stacked(part)));
      if (shown < rows.length) more.textContent = `Show more: ${(rows.length - shown).toLocaleString("en")} lines are left`;
      else more.remove();
    };
    table.after(more);
    more.addEventListener("click", next);
    next();
  };

  const search = byId("search");
  const filter = () => {
    const wanted = search.value.trim().toLowerCase();
    const actions = new Set([...bar.querySelectorAll("input[data-action]:checked")].map((box) => box.dataset.action));
    const has = (object) => {
      if (!wanted || object.name.includes(wanted)) return true;
      object.content ??= object.source ? object.source.textContent.toLowerCase() : "";
      return object.content.includes(wanted);
    };
    let shown = 0;
    let visible = 0;
    for (const group of groups) {
      const whole = wanted && group.name.includes(wanted);
      let some = 0;
      for (const object of group.objects) {
        const keep = actions.has(object.action) && (whole || has(object));
        object.element.hidden = !keep;
        some += keep;
      }
      group.element.hidden = !(some || (group.objects.length === 0 && (!wanted || whole)));
      visible += !group.element.hidden;
      shown += some;
    }
    byId("none").hidden = visible > 0;
    const all = objects.length.toLocaleString("en");
    byId("found").textContent = shown === objects.length ? `${all} objects` : `${shown.toLocaleString("en")} of ${all} objects`;
  };

  const setLayout = (chosen) => {
    sideBySide = chosen;
    byId("layout").textContent = chosen ? "Unified" : "Side by side";
    objects.filter((object) => object.element.open).forEach(draw);
  };
  const dark = () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark";
  const nameTheme = () => {
    byId("theme").textContent = dark() ? "Light" : "Dark";
  };

  if (!bar) return;
  bar.hidden = false;
  objects.forEach((object) => {
    object.element.addEventListener("toggle", () => object.element.open && draw(object));
    if (object.element.open) draw(object);
  });
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(filter, 120);
  });
  bar.querySelectorAll("input[data-action]").forEach((box) => box.addEventListener("change", filter));
  byId("layout").addEventListener("click", () => setLayout(!sideBySide));
  byId("expand").addEventListener("click", (event) => {
    const open = event.target.textContent === "Expand all";
    const seen = objects.filter((object) => !object.element.hidden);
    // Everything at once would stop the browser where there is very much of it.
    seen.slice(0, open ? 200 : undefined).forEach((object) => {
      object.element.open = open;
    });
    event.target.textContent = open ? "Collapse all" : "Expand all";
  });
  byId("theme").addEventListener("click", () => {
    document.documentElement.dataset.theme = dark() ? "light" : "dark";
    nameTheme();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      search.focus();
    } else if (event.key === "Escape" && document.activeElement === search) {
      search.value = "";
      filter();
    }
  });
  setLayout(sideBySide);
  nameTheme();
  filter();
})();
