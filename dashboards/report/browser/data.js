// The trials as the page has them, and how their values read. The files of this folder are one script, in this order:
// data.js, figures.js, table.js.

const shown = JSON.parse(document.getElementById("data-of-trials").textContent);
const trials = shown.trials;
const count = trials.trial.length;
const several = shown.sweeps.length > 1;
const better = shown.direction === "minimize" ? (a, b) => a - b : (a, b) => b - a;
const NONE = "–";

let read = null;  // curves are read when the first one is drawn
function curve(i) {
  read ??= JSON.parse(document.getElementById("data-of-curves").textContent);
  const points = read[i];
  return Array.isArray(points[0]) ? { x: points[0], y: points[1] } : { x: points.map((_, k) => k + 1), y: points };
}

const decoded = coded => i => (coded.codes[i] < 0 ? undefined : coded.choices[coded.codes[i]]);
const sweepOf = decoded(trials.sweep), stateOf = decoded(trials.state), kindOf = decoded(trials.kind);
const reasonOf = decoded(trials.reason);
for (const each of shown.settings) {
  each.of = each.choices ? decoded(each) : i => (each.values[i] === null ? undefined : each.values[i]);
}

const STATES = { COMPLETE: "completed", PRUNED: "stopped early", FAIL: "failed", RUNNING: "running", WAITING: "waiting" };
const stateWord = i => (trials.diverged[i] ? "diverged" : STATES[stateOf(i)] ?? stateOf(i));
function kindWord(i) {
  const kind = kindOf(i), from = trials.parent[i];
  if (kind === "search") return trials.is_base[i] ? "search, base" : "search";
  return from === null ? kind : `${kind} of ${from}`;
}
const nameOf = i => (several ? `${sweepOf(i)} ${trials.trial[i]}` : `trial ${trials.trial[i]}`)
  + (kindOf(i) === "search" || kindOf(i) === "retry" ? "" : ` (${kindOf(i)})`);

function number(value) {
  if (value === null || value === undefined) return NONE;
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(5)));
}
function text(value) {
  if (value === undefined) return "not used";
  if (typeof value === "string") return value;
  return typeof value === "number" ? number(value) : JSON.stringify(value);
}
function time(seconds) {
  if (seconds === null) return NONE;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 120 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
// Names come from users. Plotly and Tabulator read some texts as HTML.
const escaped = value => String(value).replace(/[&<>"']/g, c => `&#${c.charCodeAt(0)};`);

function element(tag, content, attributes = {}) {
  const made = document.createElement(tag);
  made.textContent = content;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}
const place = name => document.querySelector(`#${name} .place`);
const tools = name => document.querySelector(`#${name} .tools`);
function button(where, label, act) {
  const made = element("button", label, { type: "button" });
  made.addEventListener("click", act);
  where.append(made);
  return made;
}

// By how much a trial is better than another, in the metric and as a share of the other.
function gap(one, other) {
  const a = trials.value[one], b = trials.value[other];
  if (a === null || b === null) return "";
  const apart = Math.abs(a - b);
  if (!apart) return `${nameOf(one)} is as good as ${nameOf(other)}.`;
  const share = b && (a > 0) === (b > 0) ? `${((100 * apart) / Math.abs(b)).toFixed(1)} % (${number(apart)})` : number(apart);
  return `${nameOf(one)} is ${share} ${better(a, b) < 0 ? "better" : "worse"} than ${nameOf(other)}.`;
}
