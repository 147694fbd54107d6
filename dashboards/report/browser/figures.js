// The figures, drawn by plotly.js.

const DASHES = ["solid", "dash", "dot", "dashdot"];
const CONFIG = { responsive: true, displaylogo: false };
const MOST_CURVES = 60, MOST_LINES = shown.most_lines;
const dark = matchMedia("(prefers-color-scheme: dark)");
const colour = name => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
const PALETTE = {
  light: ["#2f6f9f", "#d9480f", "#2b8a3e", "#862e9c", "#a07800", "#0b7285", "#c2255c", "#495057"],
  dark: ["#74b0dd", "#ff8a4c", "#69c07b", "#c98be0", "#e0b93c", "#4fc3d9", "#f27ba5", "#adb5bd"],
};
const painted = k => PALETTE[dark.matches ? "dark" : "light"][k % 8];
const ofSweep = name => painted(shown.sweeps.indexOf(name));

function layout(height, x, y, more = {}) {
  const axis = { gridcolor: colour("line"), zeroline: false, linecolor: colour("quiet"), automargin: true };
  return {
    height, margin: { l: 70, r: 20, t: 30, b: 50 }, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif", size: 13, color: colour("ink") },
    showlegend: true, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("quiet"), activecolor: colour("ink") },
    hoverlabel: { bgcolor: colour("card"), bordercolor: colour("line"), font: { color: colour("ink") } },
    ...more,
    xaxis: { title: { text: escaped(x) }, ...axis, ...more.xaxis }, yaxis: { title: { text: escaped(y) }, ...axis, ...more.yaxis },
  };
}

// A logarithmic axis where all values are positive and span a decade, so that one bad value does not flatten the rest.
function scale(values, least = 10) {
  const known = values.filter(v => v !== null && Number.isFinite(v)).sort((a, b) => a - b);
  if (!known.length || known[0] <= 0 || known[known.length - 1] < least * known[0]) return {};
  const low = known[0], high = known[known.length - 1], ticks = roundNumbers(low, high);
  const room = 0.04 * Math.log10(high / low);
  return { type: "log", range: [Math.log10(low) - room, Math.log10(high) + room], tickvals: ticks, ticktext: ticks.map(number) };
}
// Round numbers from low to high for a logarithmic axis; the more decades, the fewer for each.
function roundNumbers(low, high) {
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high)), found = [];
  const steps = last - first > 4 ? [1] : last - first > 2 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  for (let p = first; p <= last; p++) found.push(...steps.map(step => Number((step * 10 ** p).toPrecision(3))));
  return found.filter(tick => tick >= 0.999 * low && tick <= 1.001 * high);
}

function message(name, said) {
  Plotly.purge(place(name));
  place(name).replaceChildren(element("p", said, { class: "empty" }));
}
function draw(name, traces, how) {
  const where = place(name);
  if (where.querySelector(".empty")) where.replaceChildren();
  return Plotly.react(where, traces, how, CONFIG);
}

let selected = [];
function drawCurves() {
  const drawn = selected.slice(0, MOST_CURVES).filter(i => curve(i).x.length);
  if (!drawn.length) return message("curves", selected.length ? "The selected trials have no curve." : "Select rows of the table to see their curves.");
  const seen = new Map(), ends = { x: [], y: [], text: [] }, bests = { x: [], y: [], text: [] };
  const traces = drawn.map((i, k) => {
    const { x, y } = curve(i), name = escaped(nameOf(i));
    const last = x.length - 1, best = x.indexOf(trials.best_epoch[i]);
    if (best >= 0) bests.x.push(x[best]), bests.y.push(y[best]), bests.text.push(name);
    if (stateOf(i) === "PRUNED") ends.x.push(x[last]), ends.y.push(y[last]), ends.text.push(name);
    const before = seen.get(sweepOf(i)) ?? 0;  // a colour for each sweep, a dash for each of its trials; with one sweep a colour for each trial
    seen.set(sweepOf(i), before + 1);
    const line = several ? { color: ofSweep(sweepOf(i)), dash: DASHES[before % 4] } : { color: painted(k), dash: DASHES[Math.floor(k / 8) % 4] };
    return { x, y, name, line, mode: x.length > 1 ? "lines" : "markers", hovertemplate: "epoch %{x}: %{y:.5g}", showlegend: drawn.length <= 12 };
  });
  const mark = { mode: "markers", showlegend: false, hovertemplate: "%{text}: best at epoch %{x}, %{y:.5g}<extra></extra>" };
  traces.push({ ...bests, ...mark, marker: { size: 7, color: colour("ink") } });
  traces.push({ ...ends, ...mark, hovertemplate: "%{text}: stopped early after epoch %{x}, %{y:.5g}<extra></extra>", marker: { size: 10, symbol: "x", color: colour("quiet") } });
  const axis = document.getElementById("logarithmic").checked ? scale(traces.flatMap(trace => trace.y), 1.5) : {};
  const few = Math.max(...traces.map(trace => trace.x.length)) < 8 ? { dtick: 1 } : {};
  draw("curves", traces, layout(430, "epoch", shown.metric, { yaxis: axis, xaxis: few, hovermode: "closest" }));
  const more = selected.length - drawn.length;
  document.getElementById("left-out").textContent = more > 0 ? `${more} of ${selected.length} selected trials are not drawn.` : "";
}

// The lines to draw of so many, from the worst to the best: the best half of MOST_LINES, and an even choice of the others.
function linesOf(total) {
  const all = Array.from({ length: total }, (_, k) => k), half = MOST_LINES / 2;
  if (total <= MOST_LINES) return all;
  return [...all.slice(0, half).map(k => Math.floor((k * (total - half)) / half)), ...all.slice(total - half)];
}
let keep = null;  // the rows that the brushed axes let through; null: nothing is brushed
function drawParallel() {
  const { axes } = shown.axes, total = shown.axes.rows.length, rows = linesOf(total);
  if (axes.length < 2) return message("parallel", "There are too few completed trials, or no settings that differ.");
  const spread = rows.map(k => (total > 1 ? k / (total - 1) : 1));
  const pale = rows.length > 200 ? ["#3d5163", "#d5dee5"] : ["#587891", "#a9bfce"];  // few lines may be darker
  const scale = dark.matches ? [[0, pale[0]], [0.9, "#6f9ab8"], [0.97, "#e8894f"], [1, "#ff8a4c"]] : [[0, pale[1]], [0.9, "#7fa3ba"], [0.97, "#e8894f"], [1, "#d9480f"]];
  const bar = { title: { text: "rank" }, tickvals: [0, 1], ticktext: ["last", "best"], thickness: 12, outlinewidth: 0 };
  const before = (place("parallel").data?.[0].dimensions ?? []).map(each => each.constraintrange);
  const dimensions = axes.map((axis, k) => ({ ...axis, values: rows.map(j => axis.values[j]), constraintrange: before[k] }));
  const left = Math.max(90, 24 + 7 * Math.max(...axes[0].ticktext.map(each => each.length)));
  const trace = {
    type: "parcoords", dimensions, labelangle: axes.length > 4 ? -18 : 0, labelside: "top", unselected: { line: { opacity: 0.06, color: colour("quiet") } },
    line: { color: spread, colorscale: scale, cmin: 0, cmax: 1, showscale: true, colorbar: bar },
    labelfont: { size: 13, color: colour("ink") }, tickfont: { size: 11, color: colour("ink") }, rangefont: { size: 1, color: "rgba(0,0,0,0)" },
  };
  const how = layout(480, "", "");
  draw("parallel", [trace], { ...how, margin: { l: left, r: 60, t: axes.length > 4 ? 110 : 60, b: 30 } });
  const where = place("parallel");
  where.removeAllListeners?.("plotly_restyle");
  where.on("plotly_restyle", () => brushed(where.data[0].dimensions));
}
function brushed(dimensions) {
  const bounds = dimensions.map(each => each.constraintrange).map(each => (!each?.length ? null : Array.isArray(each[0]) ? each : [each]));
  keep = bounds.every(each => each === null) ? null : new Set(shown.axes.rows.filter((_, k) =>
    bounds.every((each, j) => each === null || each.some(([low, high]) => shown.axes.axes[j].values[k] >= low && shown.axes.axes[j].values[k] <= high))));
  document.dispatchEvent(new Event("brushed"));
}
function clearBrush() {
  const where = place("parallel");
  if (!where.data) return;
  for (const each of where.data[0].dimensions) delete each.constraintrange;
  Plotly.react(where, where.data, where.layout, CONFIG);
  brushed(where.data[0].dimensions);
}

function drawImportances() {
  const known = Object.entries(shown.importances);
  if (!known.length) return message("importances", shown.not_weighed);
  const shares = new Map();
  for (const [, each] of known) for (const [path, share] of Object.entries(each)) shares.set(path, Math.max(share, shares.get(path) ?? 0));
  const paths = [...shares.keys()].sort((a, b) => shares.get(a) - shares.get(b));
  const traces = known.map(([sweep, each]) => ({
    type: "bar", orientation: "h", name: escaped(sweep), y: paths.map(path => escaped(shown.labels[path] ?? path)), x: paths.map(path => each[path] ?? null),
    marker: { color: ofSweep(sweep) }, text: paths.map(path => (path in each ? ` ${each[path].toFixed(2)}` : "")), textposition: "outside", cliponaxis: false,
    hovertemplate: "%{y}: %{x:.3f}",
  })).reverse();
  const most = Math.max(...shares.values());
  draw("importances", traces, layout(90 + (14 + 20 * known.length) * paths.length, "share of the importance", "", {
    barmode: "group", bargap: 0.3, showlegend: several, legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", traceorder: "reversed" },
    xaxis: { range: [0, 1.12 * (most || 1)] }, yaxis: { type: "category", showgrid: false },
  }));
}

function drawSpread() {
  const traces = shown.sweeps.map(sweep => {
    const mine = [];
    for (let i = 0; i < count; i++) if (trials.rank[i] !== null && sweepOf(i) === sweep) mine.push(trials.value[i]);
    mine.sort(better);
    return { x: mine, y: mine.map((_, k) => (k + 1) / mine.length), name: escaped(`${sweep} (${mine.length} completed)`), mode: mine.length > 1 ? "lines" : "markers", line: { shape: "hv", width: 2, color: ofSweep(sweep) }, hovertemplate: "%{y:.0%} are %{x:.5g} or better" };
  }).filter(trace => trace.x.length);
  if (!traces.length) return message("spread", "No trial has completed yet.");
  draw("spread", traces, layout(360, shown.metric, "share of completed trials", { xaxis: scale(traces.flatMap(trace => trace.x)), yaxis: { tickformat: ".0%", range: [0, 1.03] } }));
}

function drawRegret() {
  const known = shown.regret.filter(each => each.regret.length);
  if (!known.length) return message("regret", "No trial has completed yet.");
  const positive = known.flatMap(each => each.regret).filter(v => v > 0);
  const least = positive.length ? Math.min(...positive) : 1, most = positive.length ? Math.max(...positive) : 1;
  const floor = least / 3, ticks = roundNumbers(least / 1.3, most * 1.3);
  const traces = [];
  ["epochs", "seconds"].forEach((cost, k) => known.forEach(each => traces.push({
    x: each[cost], y: each.regret.map(v => v || floor), customdata: each.regret.map((v, j) => [each.trial[j], v]), name: escaped(each.sweep), legendgroup: each.sweep, showlegend: k === 0,
    xaxis: k ? "x2" : "x", yaxis: k ? "y2" : "y", mode: "lines+markers", line: { shape: "hv", width: 2, color: ofSweep(each.sweep) },
    marker: { size: each.regret.map(v => (v ? 4 : 9)), symbol: each.regret.map(v => (v ? "circle" : "circle-open")) }, hovertemplate: "trial %{customdata[0]}: %{customdata[1]:.4g} at %{x:,.0f}",
  })));
  const y = { type: "log", tickvals: [floor, ...ticks], ticktext: ["0", ...ticks.map(number)], range: [Math.log10(floor) - 0.1, Math.log10(most) + 0.15] };
  const how = layout(380, `epochs${shown.windows > 1 ? " of window 1" : ""} until then`, `${shown.metric}: away from the best`, { yaxis: { ...y, domain: [0, 1] }, xaxis: { domain: [0, 0.47], rangemode: "tozero" } });
  how.xaxis2 = { ...how.xaxis, title: { text: "seconds of trial time until then" }, domain: [0.53, 1], anchor: "y2" };
  how.yaxis2 = { ...how.yaxis, title: { text: "" }, anchor: "x2" };
  draw("regret", traces, how);
}

function drawCut() {
  const traces = shown.sweeps.map(sweep => {
    const at = new Map();
    for (let i = 0; i < count; i++) if (stateOf(i) === "PRUNED" && !trials.diverged[i] && sweepOf(i) === sweep) at.set(trials.epochs[i], (at.get(trials.epochs[i]) ?? 0) + 1);
    const x = [...at.keys()].sort((a, b) => a - b);
    return { type: "bar", name: escaped(sweep), x, y: x.map(each => at.get(each)), marker: { color: ofSweep(sweep) }, hovertemplate: "%{y} stopped after epoch %{x}" };
  }).filter(trace => trace.x.length);
  if (!traces.length) return message("cut", "No trial was stopped early.");
  const longest = trials.epochs.reduce((a, b) => Math.max(a, b), 0);
  const width = Math.max(0.8, longest / 60) / traces.length;
  traces.forEach((trace, k) => Object.assign(trace, { width, offset: width * (k - traces.length / 2) }));
  draw("cut", traces, layout(300, "epoch", "trials stopped early", { showlegend: several, barmode: "overlay", xaxis: { range: [0, longest + 1], ...(longest < 16 ? { dtick: 1 } : {}) }, yaxis: { tickformat: ",d" } }));
}

// A figure is drawn when its place comes near the window: without a GPU the parallel coordinates alone take seconds.
const FIGURES = { curves: drawCurves, parallel: drawParallel, importances: drawImportances, spread: drawSpread, regret: drawRegret, cut: drawCut };
const drawn = new Set(), waiting = [];
let isDrawing = false;
async function drawWaiting() {
  if (isDrawing) return;
  isDrawing = true;
  try {
    while (waiting.length) {
      await new Promise(resolve => setTimeout(resolve));  // so that the table answers between two figures
      const name = waiting.shift();
      await FIGURES[name]();
      drawn.add(name);
    }
  } finally { isDrawing = false; }
  document.documentElement.dataset.drawn = drawn.size === Object.keys(FIGURES).length ? "all" : "near";
}
function want(names) {
  waiting.push(...names.filter(name => !drawn.has(name) && !waiting.includes(name)));
  return drawWaiting();
}
function drawNear() {
  const watch = new IntersectionObserver(seen => want(seen.filter(each => each.isIntersecting).map(each => each.target.id)), { rootMargin: "500px" });
  for (const name of Object.keys(FIGURES)) watch.observe(document.getElementById(name));
}
function drawAgain() {
  const before = [...drawn];
  drawn.clear();
  return want(before);
}
addEventListener("beforeprint", () => want(Object.keys(FIGURES)));
