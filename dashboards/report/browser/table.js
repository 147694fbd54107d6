// The table of trials (Tabulator), what is selected in it, and what differs between the selected trials.

// A filter under a head: a bound (<0.2, >=3, 2..5; of a time also <2 min) for numbers, else a part of the text, upper or
// lower case.
const NUMBER = "(-?[\\d.]+(?:e[-+]?\\d+)?)", SECONDS = { s: 1, min: 60, h: 3600 };
function bounds(unit) {
  const one = `${NUMBER}\\s*${unit}`;
  return [new RegExp(`^\\s*(<=|>=|<|>|=)\\s*${one}\\s*$`, "i"), new RegExp(`^\\s*${one}\\s*\\.\\.\\s*${one}\\s*$`, "i")];
}
const PLAIN = bounds("()"), TIMES = bounds("(s|min|h)?");
const counted_in = (text, unit) => Number(text) * (SECONDS[unit?.toLowerCase()] ?? 1);
function matches(wanted, value, shownText, isTime) {
  const [bound, range] = (isTime ? TIMES : PLAIN).map(each => each.exec(wanted));
  if (typeof value === "number" && range) return value >= counted_in(range[1], range[2] || range[4]) && value <= counted_in(range[3], range[4]);
  if (bound) {
    if (typeof value !== "number") return false;
    const to = counted_in(bound[2], bound[3]);
    return { "<": value < to, "<=": value <= to, ">": value > to, ">=": value >= to, "=": value === to }[bound[1]];
  }
  return shownText.toLowerCase().includes(wanted.trim().toLowerCase());
}

const rows = Array.from({ length: count }, (_, i) => {
  const row = { i, rank: trials.rank[i], sweep: sweepOf(i), trial: trials.trial[i], kind: kindWord(i), state: stateWord(i), value: trials.value[i],
    second: trials.second[i], best_epoch: trials.best_epoch[i] || null, epochs: trials.epochs[i], seconds: trials.seconds[i], reason: reasonOf(i) };
  shown.settings.forEach((each, k) => { row[`s${k}`] = each.of(i); });
  return row;
});

// Missing values stay below, in either direction; texts and numbers of one column are apart.
function ordered(a, b, _rowA, _rowB, _column, direction) {
  const missing = v => v === null || v === undefined || v === "";
  if (missing(a) || missing(b)) return missing(a) && missing(b) ? 0 : (missing(a) ? 1 : -1) * (direction === "asc" ? 1 : -1);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return text(a).localeCompare(text(b), undefined, { numeric: true });
}

function column(title, field, write, more = {}) {
  const isNumber = write === number || write === time;
  return {
    title: escaped(title), field, sorter: ordered, hozAlign: isNumber ? "right" : "left", headerHozAlign: isNumber ? "right" : "left",
    formatter: cell => escaped(write(cell.getValue())), headerFilter: "input", headerFilterPlaceholder: !isNumber ? "text" : write === time ? "< 9 s" : "< > ..",
    headerFilterFunc: (wanted, value) => matches(wanted, value, write(value), write === time), maxWidth: 320, ...more,
  };
}
// A choice of the words that there are, in place of a text.
function choice(field) {
  const words = [...new Set(rows.map(row => row[field]))].sort();
  return words.length < 2 || words.length > 20 ? {} : {
    headerFilter: (_cell, _rendered, success) => {
      const made = element("select", "", { "aria-label": `filter by ${field}` });
      made.append(element("option", "all", { value: "" }), ...words.map(word => element("option", word, { value: word })));
      made.addEventListener("change", () => success(made.value));
      return made;
    },
    headerFilterFunc: "=",
  };
}
const first = shown.windows > 1 ? " (window 1)" : "";
const columns = [
  column("rank", "rank", number), ...(several ? [column("sweep", "sweep", text, choice("sweep"))] : []), column("trial", "trial", number),
  column("kind", "kind", text, choice("kind")), column("state", "state", text, choice("state")), column(shown.metric, "value", number),
  ...(shown.second ? [column(shown.second, "second", number)] : []), column(`best epoch${first}`, "best_epoch", number),
  column(`epochs${first}`, "epochs", number), column("time", "seconds", time),
  ...shown.settings.map((each, k) => column(each.label, `s${k}`, each.values || each.choices.every(v => typeof v === "number") ? value => (value === undefined ? text(value) : number(value)) : text,
    each.values || each.choices.every(v => typeof v === "number") ? { hozAlign: "right", headerHozAlign: "right", headerFilterPlaceholder: "< > .." } : {})),
  ...(trials.reason.choices.some(Boolean) ? [column("reason", "reason", value => value ?? "")] : []),
];

let current = null;  // the row that the keyboard is on
const table = new Tabulator(place("trials"), {
  data: rows, index: "i", columns, height: Math.min(560, 116 + 30 * count), layout: "fitData", selectableRows: true, selectableRowsPersistence: true,
  initialSort: [{ column: "rank", dir: "asc" }], headerFilterLiveFilterDelay: 150, placeholder: "No trial matches.",
  rowFormatter: row => {
    const made = row.getElement(), { i, rank, state } = row.getData();
    made.classList.toggle("best", rank === 1);
    made.classList.toggle("unranked", rank === null);
    made.classList.toggle("wrong", state === "diverged" || state === "failed");
    made.classList.toggle("current", current === i);
  },
});

function counted() {
  const active = table.getDataCount("active");
  document.getElementById("shown").textContent = `${active.toLocaleString("en")} of ${count.toLocaleString("en")} trials are shown, ${selected.length} selected.`;
}
function chosen(some) {
  table.deselectRow();
  table.selectRow(some.slice(0, MOST_CURVES));
}
function bests(number) {
  return table.getData("active").filter(row => row.rank !== null).sort((a, b) => a.rank - b.rank).slice(0, number).map(row => row.i);
}
function first_look() {  // the best of each sweep and its base; with one sweep its best five
  const each = shown.sweeps.map(sweep => rows.filter(row => row.rank !== null && row.sweep === sweep).sort((a, b) => a.rank - b.rank));
  const bases = rows.filter(row => trials.is_base[row.i] && row.epochs).map(row => row.i);
  const take = each.length > 3 ? 1 : 6 - 2 * each.length + 1;
  return [...new Set([...each.flatMap(some => some.slice(0, Math.max(1, take)).map(row => row.i)), ...bases])].slice(0, 12);
}

function differences() {
  const some = selected.slice(0, 6), where = place("differences");
  if (some.length < 2) return where.replaceChildren(element("p", "Select two or more rows of the table.", { class: "empty" }));
  const lines = shown.settings.map(each => [each.path, some.map(each.of)]).filter(([, values]) => new Set(values.map(v => JSON.stringify(v))).size > 1);
  const cost = [[shown.metric, some.map(i => number(trials.value[i]))], ["state", some.map(stateWord)], ["best epoch of epochs", some.map(i => `${number(trials.best_epoch[i])} of ${trials.epochs[i]}`)], ["time", some.map(i => time(trials.seconds[i]))]];
  const made = document.createElement("table"), head = made.createTHead().insertRow();
  head.append(element("th", ""), ...some.map(i => element("th", nameOf(i))));
  const body = made.createTBody();
  for (const [name, values] of [...lines.map(([path, values]) => [path, values.map(text)]), ...cost]) {
    const row = body.insertRow();
    row.append(element("th", name, { scope: "row" }), ...values.map(value => element("td", value)));
  }
  const told = some.length === 2 ? [element("p", gap(some[0], some[1]))] : [];
  if (!lines.length) told.push(element("p", "They have the same settings."));
  if (selected.length > some.length) told.push(element("p", `The first ${some.length} of ${selected.length} selected trials are compared.`));
  const scroll = element("div", "", { class: "scroll" });
  scroll.append(made);
  where.replaceChildren(...told, scroll);
}

table.on("rowSelectionChanged", (_data, chosenRows) => {
  selected = chosenRows.map(row => row.getData().i);
  counted();
  differences();
  if (drawn.has("curves")) drawCurves();
});
table.on("dataFiltered", () => setTimeout(counted));
document.addEventListener("brushed", () => (keep === null ? table.clearFilter() : table.setFilter(row => keep.has(row.i))));

// The keyboard: heads sort by Enter; in the table the arrows move, and the space bar selects.
function move(event) {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 15, PageUp: -15, Home: -Infinity, End: Infinity }[event.key];
  const active = table.getRows("active");
  if (!active.length || (step === undefined && event.key !== " " && event.key !== "Enter")) return;
  event.preventDefault();
  const at = active.findIndex(row => row.getData().i === current);
  if (step === undefined) return at >= 0 ? active[at].toggleSelect() : undefined;
  const to = active[Math.max(0, Math.min(active.length - 1, at + step))], before = active[at];
  current = to.getData().i;
  for (const row of [before, to]) row?.getElement().classList.toggle("current", row === to);
  table.scrollToRow(to, "nearest", false).catch(() => {});
}
table.on("tableBuilt", () => {
  for (const each of table.getColumns()) {
    const title = each.getElement().querySelector(".tabulator-col-title-holder") ?? each.getElement();
    const path = shown.settings[Number(/^s(\d+)$/.exec(each.getField())?.[1])]?.path ?? each.getField();
    title.setAttribute("tabindex", "0");
    title.setAttribute("role", "button");
    each.getElement().title = path;
    each.getElement().querySelector(".tabulator-header-filter :is(input, select)")?.setAttribute("aria-label", `filter by ${path}`);
    title.addEventListener("keydown", event => { if (event.key === "Enter") title.click(); });
  }
  const holder = place("trials").querySelector(".tabulator-tableholder");
  holder.setAttribute("tabindex", "0");
  holder.setAttribute("aria-label", "trials");
  holder.addEventListener("keydown", move);
  table.selectRow(first_look());
  document.documentElement.dataset.table = "built";
});

tools("trials").append(element("span", "", { id: "shown", "aria-live": "polite" }));
button(tools("trials"), "Select the best 10 shown", () => chosen(bests(10)));
button(tools("trials"), "Select the best and the base", () => chosen([...bests(1), ...rows.filter(row => trials.is_base[row.i]).map(row => row.i)]));
button(tools("trials"), "Select none", () => table.deselectRow());
button(tools("trials"), "Clear the filters", () => { table.clearHeaderFilter(); document.querySelectorAll("#trials select").forEach(each => { each.value = ""; }); clearBrush(); table.clearFilter(); });
const logarithmic = element("input", "", { type: "checkbox", id: "logarithmic" }), label = element("label", " logarithmic axis", { for: "logarithmic" });
logarithmic.checked = true;
logarithmic.addEventListener("change", drawCurves);
label.prepend(logarithmic);
tools("curves").append(label, element("span", "", { id: "left-out" }));
button(tools("parallel"), "Clear the brush", clearBrush);
dark.addEventListener("change", drawAgain);
document.addEventListener("DOMContentLoaded", drawNear);  // plotly.js is read by then
