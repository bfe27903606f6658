// What an answer looked at, drawn: heat map, score, candidates, experts. See minikimi/inference/lens.py.

const $ = (id) => document.getElementById(id);
const LONGEST = 360; // px of the picture's longer side
const CELL = 28; // px of a token's cell in the picture's own pixels
const percent = (x) => (x >= 0.0995 ? `${Math.round(100 * x)} %` : `${(100 * x).toFixed(1)} %`);

let ask = null; // the request that gave what is shown
let seen = null; // the server's answer
let token = -1; // the chosen token, -1: the whole answer
let call = null; // how the server is asked
let chosen = () => {}; // told when a token is chosen here
let newest = 0; // number of the latest question to the server; an older one's answer is dropped

export function start(server, onChoice) {
  call = server;
  chosen = onChoice;
  for (const name of ["layer", "head"]) $(name).addEventListener("change", () => load({ ...ask }, token));
  $("picture").addEventListener("change", draw);
  $("whole").addEventListener("click", () => choose(-1));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => seen && draw());
}

export function clear() {
  newest++;
  ask = seen = null;
  $("seen").hidden = true;
  $("nothing").hidden = false;
}

// request: {messages, token_ids, boxes, pictures}; resolves to what the server saw, or null if something newer came.
export async function load(request, choice = -1) {
  const number = ++newest;
  const { pictures, ...body } = request;
  const pick = (name) => Number($(name).value || -1);
  const same = ask && ask.token_ids === request.token_ids;
  const reply = await call("/lens", { ...body, layer: same ? pick("layer") : -1, head: same ? pick("head") : -1 });
  if (number !== newest) return null;
  if (!same) {
    options("layer", ["mean of all", ...range(reply.layers)], -1);
    options("head", ["mean of all", ...range(reply.heads)], -1);
    options("picture", pictures.map((_, i) => i + 1), 0);
    $("picture").value = String(Math.max(0, pictures.length - 1));
  }
  [ask, seen, token] = [request, reply, choice];
  $("which").hidden = pictures.length < 2;
  $("seen").hidden = false;
  $("nothing").hidden = true;
  draw();
  return reply;
}

export function choose(i) {
  token = i;
  if (!seen) return;
  draw();
  chosen(i);
}

const range = (n) => Array.from({ length: n }, (_, i) => i);

function options(id, names, first) {
  $(id).replaceChildren(...names.map((name, i) => new Option(name, i + first)));
}

function draw() {
  drawMap();
  drawScore();
  drawCandidates();
  drawExperts();
}

const name = () => (token < 0 ? "The whole answer" : `“${seen.tokens[token]}”`);

function drawMap() {
  const index = Number($("picture").value);
  const map = seen.maps[index];
  $("map").hidden = $("looked").hidden = !map;
  if (!map) return;
  const image = $("shown");
  const place = () => {
    const room = Math.min(LONGEST, $("seen").clientWidth - 2);
    const scale = Math.min(room / image.naturalWidth, LONGEST / image.naturalHeight);
    const [width, height] = [image.naturalWidth * scale, image.naturalHeight * scale];
    image.style.width = `${width}px`;
    image.style.height = `${height}px`;
    const [down, across] = map.shown;
    heat(map, average(map.values), width / across, height / down, width, height, index);
  };
  image.onload = place;
  image.alt = `Picture ${index + 1}`;
  if (image.src === ask.pictures[index] && image.complete) place();
  else image.src = ask.pictures[index];
}

// One list of numbers: that of the chosen token, or the mean over all.
function average(rows) {
  if (token >= 0) return rows[token];
  return rows[0].map((_, k) => rows.reduce((sum, row) => sum + row[k], 0) / rows.length);
}

function context(canvas, width, height) {
  const sharp = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * sharp);
  canvas.height = Math.round(height * sharp);
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d");
  pen.scale(sharp, sharp);
  return pen;
}

function heat(map, values, width, height, shownWidth, shownHeight, index) {
  const pen = context($("heat"), width, height);
  const most = Math.max(...values, 1e-9);
  const [w, h] = [width / map.columns, height / map.rows];
  values.forEach((value, k) => {
    const [x, y] = [(k % map.columns) * w, Math.floor(k / map.columns) * h];
    pen.fillStyle = `rgba(20, 20, 30, ${0.72 * (1 - value / most)})`;
    pen.fillRect(x, y, w, h);
    pen.strokeStyle = "rgba(255, 255, 255, .35)";
    pen.strokeRect(x, y, w, h);
    if (w > 34 && h > 20) {
      pen.font = "11px system-ui, sans-serif";
      const text = percent(value);
      pen.lineWidth = 3;
      pen.strokeStyle = "rgba(20, 20, 30, .8)";
      pen.strokeText(text, x + 4, y + 14);
      pen.lineWidth = 1;
      pen.fillStyle = "white";
      pen.fillText(text, x + 4, y + 14);
    }
  });
  if (index === seen.maps.length - 1) {
    pen.setLineDash([5, 3]);
    pen.lineWidth = 2;
    pen.strokeStyle = "#ff8a3c";
    for (const [left, top, right, bottom] of ask.boxes)
      pen.strokeRect(left * shownWidth, top * shownHeight, (right - left) * shownWidth, (bottom - top) * shownHeight);
  }
  const on = values.reduce((a, b) => a + b, 0);
  $("looked").textContent = `${name()}: ${percent(on)} of the attention is on the picture, the rest on words.`;
  $("heat").dataset.total = on.toFixed(4);
  $("heat").setAttribute("aria-label", `Heat map of ${map.rows} rows and ${map.columns} columns. ${$("looked").textContent}`);
}

function drawScore() {
  const score = seen.score;
  $("score").hidden = !score || Number($("picture").value) !== seen.maps.length - 1;
  if (!score) return;
  const share = token < 0 ? score.shares.reduce((a, b) => a + b, 0) / score.shares.length : score.shares[token];
  const text = document.createElement("p");
  text.textContent = `Of that, ${percent(share)} falls inside the right box (dashed); chance is ${percent(score.chance)}.`;
  $("score").replaceChildren(text, bar(share, score.chance));
}

function bar(share, mark) {
  const [outer, inner] = [document.createElement("div"), document.createElement("i")];
  outer.className = "bar";
  inner.style.width = `${100 * Math.min(1, share)}%`;
  outer.append(inner);
  if (mark !== undefined) {
    const line = document.createElement("b");
    line.style.left = `${100 * mark}%`;
    outer.append(line);
  }
  return outer;
}

function drawCandidates() {
  const i = Math.max(token, 0);
  const said = seen.tokens[i];
  $("token").textContent = `in the place of token ${i + 1}, ${JSON.stringify(said)}`;
  $("candidates").replaceChildren(
    ...seen.candidates[i].map(([text, p]) => {
      const [row, word, number] = ["li", "code", "span"].map((tag) => document.createElement(tag));
      word.textContent = word.title = JSON.stringify(text);
      number.textContent = percent(p);
      row.append(word, bar(p), number);
      return row;
    }),
  );
}

function drawExperts() {
  const dark = getComputedStyle(document.body).color;
  const count = seen.load[0]?.length || 0;
  const colour = (e) => `hsl(${Math.round((360 * e) / count)} 65% ${e % 2 ? 42 : 62}%)`;
  const rows = seen.load.map((load, l) => {
    const row = document.createElement("div");
    row.className = "layer";
    const [label, box, strip, bars] = ["span", "div", "canvas", "canvas"].map((tag) => document.createElement(tag));
    label.textContent = `layer ${l + seen.dense_layers}`;
    box.className = "strip";
    box.append(strip);
    row.append(label, box, bars);
    const wide = Math.max(7, Math.min(22, 170 / seen.tokens.length));
    const pen = context(strip, wide * seen.tokens.length, 34);
    seen.experts.forEach((layers, t) => {
      const some = [...layers[l]].sort((a, b) => a - b);
      some.forEach((e, k) => {
        pen.fillStyle = colour(e);
        pen.fillRect(t * wide, (30 * k) / some.length, wide - 1, 30 / some.length);
      });
      if (t === token) {
        pen.fillStyle = dark;
        pen.fillRect(t * wide, 31, wide - 1, 3);
      }
    });
    strip.setAttribute("role", "img");
    strip.setAttribute("aria-label", `layer ${l + seen.dense_layers}: experts of each token`);
    strip.addEventListener("click", (e) => choose(Math.min(seen.tokens.length - 1, Math.floor(e.offsetX / wide))));
    const width = matchMedia("(max-width: 30rem)").matches ? 88 : 128;
    const chart = context(bars, width, 34);
    const most = Math.max(...load, 2 / count);
    load.forEach((share, e) => {
      chart.fillStyle = colour(e);
      chart.fillRect((e * width) / count, 34 - (34 * share) / most, width / count - 1, (34 * share) / most);
    });
    chart.fillStyle = dark;
    chart.fillRect(0, 34 - 34 / count / most, width, 1);
    const busiest = load.indexOf(Math.max(...load));
    bars.setAttribute("role", "img");
    bars.setAttribute("aria-label", `load: expert ${busiest} most, ${percent(load[busiest])}; even: ${percent(1 / count)}`);
    bars.title = bars.getAttribute("aria-label");
    return row;
  });
  $("experts").replaceChildren(...rows);
}
