const data = JSON.parse(document.getElementById("data").textContent);
const $ = id => document.getElementById(id);
const steps = data.steps, total = steps.length;
let now = 0, lang = data.lang, T = TEXTS[lang];

// Everything is put in as text, never as markup.
function el(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes || {})) made.setAttribute(key, value);
  made.append(...children.filter(c => c !== null));
  return made;
}
function short(v) {
  if (typeof v !== "number") return String(v);
  if (Number.isInteger(v) && Math.abs(v) < 1e6) return String(v);
  const size = Math.abs(v);
  return (size >= 1e-3 && size < 1e5 ? String(Number(v.toPrecision(4))) : v.toExponential(2)).replaceAll("-", "−");
}
function numbers(value, name, extra) {
  const caption = (extra ? extra + ": " : "") + name;
  if (value.parts) return el("div", {}, ...value.parts.map(([i, part]) => numbers(part, `${name} [${i}]`, extra)));
  if (!value.rows) {
    const box = el("p", {class: "summary"}, `${caption} ${value.shape} ${value.dtype}: `);
    if (!value.summary) box.append(T.empty);
    Object.entries(value.summary || {}).forEach(([key, v], i) =>
      box.append(i ? " · " : "", `${T[key]} `, el("b", {"data-v": v, "data-summary": key}, short(v))));
    return box;
  }
  const largest = Math.max(...value.rows.flat().map(v => typeof v === "number" ? Math.abs(v) : 0)) || 1;
  // Where there is little room, a power of ten stands once above the table, and not in every cell.
  const many = value.rows[0].length > 4, power = Math.floor(Math.log10(largest));
  const scaled = many && value.dtype.startsWith("float") && (power < -1 || power > 2) && power > -290;
  const written = v => typeof v !== "number" || !many ? short(v) :
    value.dtype.startsWith("float") ? (scaled ? v / 10 ** power : v).toFixed(scaled ? 2 : power < 1 ? 3 : 1).replace("-", "−") : String(v);
  const times = scaled ? ` × 10${[...String(power)].map(c => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] || "⁻").join("")}` : "";
  const rows = value.rows.map(row => el("tr", {}, ...row.map(v => {
    const cell = el("td", {"data-v": v, title: v}, written(v));
    if (typeof v === "number" && v !== 0) {
      cell.style.setProperty("--tint", v > 0 ? "var(--plus)" : "var(--minus)");
      cell.style.setProperty("--part", `${Math.round(38 * Math.abs(v) / largest)}%`);
    }
    return cell;
  })));
  const table = el("table", {class: many ? "many" : ""}, el("caption", {}, `${caption} ${value.shape === "()" ? "" : value.shape}${times}`), el("tbody", {}, ...rows));
  return el("div", {class: "numbers"}, table);
}
function state(arrived, expected) {
  const complete = arrived === expected;
  const text = !complete ? T.of(arrived, expected) : expected > 1 ? T.all(expected) : T.complete;
  return el("span", {class: `state ${complete ? "complete" : "waiting"}`}, complete ? "✓ " + text : text);
}
function flowCard(flow) {
  const [before, last] = [flow.written.slice(0, -1), flow.written.at(-1) || "→ " + flow.name];
  const card = el("section", {class: "card", "data-to": flow.name},
    el("div", {class: "head"}, el("h4", {class: "math"}, last), state(flow.arrived, flow.expected)));
  if (before.length) card.append(el("p", {class: "math note"}, `${T.here} ${before.join(", ")}`));
  for (const [name, text, words] of flow.equations)
    card.append(el("div", {class: "equation"}, el("b", {}, name), el("span", {class: "math"}, text), el("p", {}, T[words || name])));
  if (flow.half) card.append(el("p", {class: "note"}, `${T.minor} ${flow.half}`));
  const rule = el("dd", {}, el("pre", {}, el("code", {}, flow.formula)));
  if (flow.legend.length)
    rule.append(el("span", {class: "where"}, T.here + " " + flow.legend.map(([a, b]) => `${a} = ${b}`).join(", ")));
  card.append(el("dl", {}, el("dt", {}, T.rule), rule, el("dt", {}, T.numpy),
    el("dd", {}, el("pre", {}, el("code", {class: "numpy"}, flow.numpy)))));
  const shown = el("div", {class: "row"}, numbers(flow.gradient, flow.name, flow.total ? T.adds : ""));
  if (flow.total) shown.append(numbers(flow.total, flow.name, T.sum));
  card.append(shown);
  return card;
}
function docOf(step) {
  const own = step.doc[lang], text = own || step.doc.en;
  return text ? el("p", {class: "doc", lang: own ? document.documentElement.lang : "en"}, text) : null;
}
// What has arrived at each leaf after a number of steps.
function leafStates(k) {
  const found = new Map();
  steps.slice(0, k).forEach(step => step.flows.forEach(f => { if (f.leaf) found.set(f.source, f); }));
  return found;
}
function leavesCard(k) {
  const states = leafStates(k);
  const list = el("div", {class: "leaves"});
  data.leaves.forEach((leaf, i) => {
    const flow = states.get(leaf.name);
    const whole = flow && flow.arrived === flow.expected || k === total;
    const name = leaf.given && leaf.given !== leaf.name ? `${leaf.gradient} (${leaf.given})` : leaf.gradient;
    const item = el("div", {class: "leaf", "data-leaf": i, "data-complete": String(whole)});
    if (flow || whole) item.append(numbers(whole ? leaf.value : flow.total || flow.gradient, name),
      flow ? state(flow.arrived, flow.expected) : "");
    else item.append(el("span", {class: "none"}, `${name}: ${T.nothing}`));
    list.append(item);
  });
  return el("section", {class: "card", id: "leaves"}, el("h3", {}, `${T.leaves} (.grad)`), list);
}
function panel(k) {
  const parts = [];
  if (k === 0) {
    parts.push(el("section", {class: "card"}, el("h2", {}, T.start(data.cost)), el("p", {class: "note"}, T.startNote),
      data.book ? el("p", {class: "note"}, T.average) : null,
      numbers(data.seed.value, data.seed.name)));
  } else {
    const step = steps[k - 1];
    const top = el("section", {class: "card"}, el("div", {class: "top"},
      el("div", {}, el("h2", {class: "math"}, `${step.name} = ${step.equation}`), docOf(step)),
      el("div", {id: "arrives"}, el("h3", {}, T.arrives), numbers(step.gradient.value, step.gradient.name))));
    if (step.values.length)
      top.append(el("details", {id: "values"}, el("summary", {}, T.values),
        el("div", {class: "row"}, ...step.values.map(v => numbers(v.value, v.name)))));
    parts.push(top);
    if (step.flows.length)
      parts.push(el("div", {}, el("h3", {}, T.goes), el("div", {class: "columns"}, ...step.flows.map(flowCard))));
    const own = new Set(step.flows.map(f => f.name));
    const waits = step.waiting.filter(w => !own.has(w.name));
    if (waits.length) parts.push(el("section", {class: "card"}, el("h3", {}, T.waits),
      el("div", {class: "row"}, ...waits.map(w => el("span", {}, `${w.name} `, state(w.arrived, w.expected))))));
  }
  parts.push(leavesCard(k));
  return parts;
}

// --- the graph ---
const boxes = new Map(), edges = [];
document.querySelectorAll("#graph g.node").forEach(g => {
  const id = g.querySelector("title").textContent.trim();
  g.classList.add(data.kinds[id] || "op");
  boxes.set(id, g);
  const k = steps.findIndex(s => s.box === id);
  if (k >= 0) { g.classList.add("turn"); g.addEventListener("click", () => show(k + 1)); }
  const said = [...g.querySelectorAll("text")].map(t => t.textContent).join(", ");
  g.querySelector("title").textContent = said;
});
document.querySelectorAll("#graph g.edge").forEach(g => {
  const title = g.querySelector("title"), [tail, head] = title.textContent.split("->").map(s => s.trim());
  edges.push({g, tail, head});
  title.remove();
});
const picture = document.querySelector("#graph > svg");
picture.setAttribute("role", "img");
// As large as there is room for, but not so small that it cannot be read: then it scrolls.
function fit() {
  const {width, height} = picture.viewBox.baseVal, frame = $("graph"), narrow = innerWidth <= 820;
  const wide = frame.clientWidth - 16, high = narrow ? Infinity : innerHeight - 210;
  const scale = Math.max(narrow ? .9 : 1, Math.min(1.35, wide / width, high / height));
  picture.style.maxWidth = "none";
  picture.style.width = `${width * scale}px`;
}
const opened = {values: false};
function paint(k) {
  const done = new Set(), ready = new Set(), badges = new Map();
  if (k === 0) ready.add(data.seed.box);
  if (k > 0) done.add(data.output);
  steps.slice(0, k).forEach((step, i) => {
    ready.delete(step.box);
    if (i < k - 1) done.add(step.box);
    step.flows.forEach(f => { badges.set(f.box, f); if (f.arrived === f.expected) (f.leaf ? done : ready).add(f.box); });
  });
  const current = k ? steps[k - 1].box : data.output;
  const targets = new Set(k ? steps[k - 1].flows.map(f => f.box) : [data.seed.box]);
  document.querySelectorAll("#graph .badge").forEach(b => b.remove());
  boxes.forEach((g, id) => {
    const f = badges.get(id), waits = f && f.arrived < f.expected;
    g.classList.toggle("now", id === current);
    g.classList.toggle("ready", id !== current && ready.has(id));
    g.classList.toggle("done", id !== current && done.has(id));
    g.classList.toggle("wait", id !== current && Boolean(waits));
    if (f && f.expected > 1 && id !== current && !(done.has(id) && !f.leaf)) {
      const box = g.getBBox(), badge = document.createElementNS("http://www.w3.org/2000/svg", "text");
      badge.setAttribute("class", "badge");
      badge.setAttribute("x", box.x + box.width + 2);
      badge.setAttribute("y", box.y + 7);
      badge.textContent = `${f.arrived}/${f.expected}`;
      g.append(badge);
    }
  });
  edges.forEach(e => e.g.classList.toggle("flow", e.head === current && targets.has(e.tail)));
  const frame = $("graph"), g = boxes.get(current);
  if (g && frame.scrollHeight > frame.clientHeight + 4) {
    const a = g.getBoundingClientRect(), b = frame.getBoundingClientRect();
    frame.scrollTop += a.top - b.top - (frame.clientHeight - a.height) / 2;
    frame.scrollLeft += a.left - b.left - (frame.clientWidth - a.width) / 2;
  }
}
function show(k) {
  const open = $("values");
  if (open) opened.values = open.open;
  now = Math.max(0, Math.min(total, k));
  $("panel").replaceChildren(...panel(now));
  if ($("values")) $("values").open = opened.values;
  $("slider").value = now;
  $("count").textContent = T.step(now, total);
  const step = steps[now - 1];
  const what = step ? T.from(step.name, step.op, step.flows.map(f => f.name).join(", ") || T.nowhere) : T.start(data.cost);
  $("slider").setAttribute("aria-valuetext", T.said(now, total, step ? `${step.name}, ${step.op}` : data.seed.name));
  $("said").textContent = T.said(now, total, what);
  $("first").disabled = $("back").disabled = now === 0;
  $("last").disabled = $("next").disabled = now === total;
  paint(now);
}
function speak(language) {
  lang = language; T = TEXTS[lang];
  document.documentElement.lang = lang === "zh" ? "zh-Hans" : "en";
  document.title = `${T.title} — ∂${data.cost}`;
  document.querySelectorAll("[data-t]").forEach(e => { e.textContent = T[e.dataset.t]; });
  document.querySelectorAll("[data-label]").forEach(e => { e.setAttribute("aria-label", T[e.dataset.label]); });
  document.querySelectorAll("button[data-label]").forEach(e => { e.title = T[e.dataset.label]; });
  picture.setAttribute("aria-label", T.graph);
  $("en").setAttribute("aria-pressed", String(lang === "en"));
  $("zh").setAttribute("aria-pressed", String(lang === "zh"));
  const [left, right, both, home, end, ends] = T.keys;
  $("keys").replaceChildren(el("kbd", {}, left), " ", el("kbd", {}, right), " " + both, el("kbd", {}, home), " ", el("kbd", {}, end), " " + ends);
  show(now);
}
$("slider").max = total;
$("slider").addEventListener("input", e => show(Number(e.target.value)));
$("first").addEventListener("click", () => show(0));
$("back").addEventListener("click", () => show(now - 1));
$("next").addEventListener("click", () => show(now + 1));
$("last").addEventListener("click", () => show(total));
$("en").addEventListener("click", () => speak("en"));
$("zh").addEventListener("click", () => speak("zh"));
document.addEventListener("keydown", e => {
  // The slider has these keys itself; what scrolls keeps them.
  if (e.ctrlKey || e.altKey || e.metaKey || e.shiftKey || e.target.matches("input, #graph")) return;
  const to = {ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: total}[e.key];
  if (to === undefined) return;
  e.preventDefault();
  show(to);
});
// page.html#3 opens at step 3.
function linked() { return Number(location.hash.slice(1)) || 0; }
addEventListener("hashchange", () => show(linked()));
addEventListener("resize", () => { fit(); paint(now); });
fit();
now = Math.min(total, linked());
speak(lang);
