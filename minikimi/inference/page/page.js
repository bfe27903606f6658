// The conversation of one tab: it lives here and nowhere else. What an answer looked at is drawn by lens.js.

import * as lens from "./lens.js";

const $ = (id) => document.getElementById(id);
const MAX_BYTES = 10 * 2 ** 20; // of a picture, as the server has it
const [THINK, END_THINK] = ["◁think▷", "◁/think▷"];

const token = decodeURIComponent(location.hash.slice(1)); // a server for others is opened as http://.../#TOKEN
let model = "";
let messages = []; // in the shape of the endpoint
let attached = null; // {url, known}: the picture of the next question
let known = null; // what the world knows of the last picture: {question, answer, boxes}, or null
let running = null; // the AbortController of the answer that comes in
let current = null; // the answer whose lens is shown: {element, texts}

async function call(path, body) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const options = body === undefined ? { headers } : { method: "POST", body: JSON.stringify(body) };
  if (body !== undefined) options.headers = { ...headers, "Content-Type": "application/json" };
  const reply = await fetch(path, options);
  const values = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(values.error?.message || `the server says ${reply.status}`);
  return values;
}

function complain(text) {
  $("trouble").textContent = text;
  $("trouble").hidden = !text;
}

// Pictures

function attach(url, about, name = "picture") {
  attached = { url, known: about };
  const image = new Image();
  image.src = url;
  image.alt = name;
  const remove = Object.assign(document.createElement("button"), { type: "button", textContent: "Remove" });
  remove.addEventListener("click", detach);
  $("attached").replaceChildren(image, remove);
  $("attached").hidden = false;
  if (about) $("question").value = about.question;
  complain("");
  $("question").focus();
}

function detach() {
  attached = null;
  $("attached").hidden = true;
}

const dataUrl = (blob) =>
  new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result);
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });

async function choosePicture(file) {
  if (!file) return;
  if (file.size > MAX_BYTES) {
    const size = Math.round(file.size / 2 ** 20);
    return complain(`${file.name} has ${size} MB; a picture may have up to ${MAX_BYTES / 2 ** 20} MB. Scale it down.`);
  }
  try {
    (await createImageBitmap(file)).close();
  } catch {
    return complain(`${file.name} is not a picture that this browser can show. Choose a PNG, JPEG, WEBP or GIF file.`);
  }
  attach(await dataUrl(file), null, file.name);
}

async function showSamples() {
  const { licence, samples } = await (await fetch("samples/samples.json")).json();
  $("licence").textContent = licence;
  for (const sample of samples) {
    const button = Object.assign(document.createElement("button"), { type: "button", title: sample.question });
    const image = Object.assign(new Image(), { src: `samples/${sample.file}`, alt: "" });
    button.append(image, sample.task);
    button.addEventListener("click", async () => {
      attach(await dataUrl(await (await fetch(image.src)).blob()), sample, sample.task);
    });
    $("samples").append(button);
  }
}

// Turns

function turn(kind) {
  const element = document.createElement("div");
  element.className = `turn ${kind}`;
  $("log").append(element);
  return element;
}

// Pieces of text into an answer: the thought folded, then the words. `make` makes the element of piece i.
function write(element, pieces, make) {
  const text = pieces.join("");
  const begin = text.startsWith(THINK) ? THINK.length : -1;
  const close = text.indexOf(END_THINK);
  const end = begin < 0 ? 0 : close < 0 ? text.length : close + END_THINK.length;
  const words = document.createElement("span");
  const fold = document.createElement("details");
  const summary = Object.assign(document.createElement("summary"), { textContent: close < 0 ? "Thinking…" : "Thought" });
  fold.append(summary);
  fold.open = element.dataset.unfolded ? element.dataset.unfolded === "yes" : close < 0; // the reader's wish comes first
  summary.addEventListener("click", () => (element.dataset.unfolded = fold.open ? "no" : "yes"));
  let at = 0;
  pieces.forEach((piece, i) => {
    const inMark = (k) => k < begin || (close >= 0 && k >= close && k < end);
    const visible = [...Array(piece.length).keys()].filter((k) => !inMark(at + k)).map((k) => piece[k]).join("");
    (at < end ? fold : words).append(make(visible, i));
    at += piece.length;
  });
  element.replaceChildren(...(begin < 0 ? [words] : [fold, words]));
}

function clickable(answer) {
  const { element, texts } = answer;
  let first = true;
  write(element, texts, (piece, i) => {
    const span = Object.assign(document.createElement("span"), { className: "t", textContent: piece });
    if (/^(<\|.*\|>|\[[A-Z]+\])$/.test(piece)) span.classList.add("special");
    if (!piece) return span;
    span.setAttribute("role", "button");
    span.tabIndex = first ? 0 : -1;
    first = false;
    span.dataset.token = i;
    return span;
  });
  if (answer.truth) {
    const note = Object.assign(document.createElement("span"), { className: "truth", textContent: `The truth: ${answer.truth}` });
    element.append(note);
  }
}

function mark(i) {
  for (const span of document.querySelectorAll(".t")) {
    const on = current?.element.contains(span) && Number(span.dataset.token) === i;
    span.setAttribute("aria-pressed", on ? "true" : "false");
    if (on) span.tabIndex = 0;
  }
}

async function pick(span) {
  const answer = answers.get(span.closest(".answer"));
  const i = Number(span.dataset.token);
  if (!answer || Number.isNaN(i)) return;
  if (answer !== current) {
    current = answer;
    await lens.load(answer.request);
  }
  lens.choose(i);
}
const answers = new Map(); // element -> answer

// Arrow keys walk through the tokens of an answer.
function walk(event) {
  const span = event.target.closest?.(".t");
  if (!span) return;
  if (event.key === "Enter" || event.key === " ") {
    event.preventDefault();
    return pick(span);
  }
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const spans = [...span.closest(".answer").querySelectorAll(".t[data-token]")].filter((s) => s.offsetParent);
  const next = spans[spans.indexOf(span) + step];
  if (!next) return;
  event.preventDefault();
  span.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  pick(next);
}

// The answer as it comes: onPiece(text, ids); returns the usage.
async function stream(body, signal, onPiece) {
  const headers = { "Content-Type": "application/json", ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  const reply = await fetch("/v1/chat/completions", { method: "POST", headers, body: JSON.stringify(body), signal });
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).error?.message || `the server says ${reply.status}`);
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error("the connection broke off; ask again");
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const event of events) {
      const data = event.slice("data: ".length);
      if (data === "[DONE]") return;
      const chunk = JSON.parse(data);
      if (chunk.error) throw new Error(chunk.error.message);
      const choice = chunk.choices[0];
      if (choice) onPiece(choice.delta.content || "", choice.token_ids || []);
    }
  }
}

async function ask(event) {
  event.preventDefault();
  if (running) return running.abort();
  const question = $("question").value.trim();
  if (!question) return complain("Type a question first.");
  complain("");
  const parts = attached ? [{ type: "image_url", image_url: { url: attached.url } }] : [];
  parts.push({ type: "text", text: question });
  if (attached) known = attached.known;
  const mine = turn("user");
  if (attached) mine.append(Object.assign(new Image(), { src: attached.url, alt: "your picture" }));
  mine.append(question);
  const asked = [...messages, { role: "user", content: parts }];
  const element = turn("answer waiting");
  const [pieces, ids] = [[], []];
  const before = { attached, known };
  running = new AbortController();
  $("send").textContent = "Stop";
  $("question").value = "";
  $("choose").hidden = true;
  detach();
  let begin = 0;
  try {
    const settings = { model, temperature: Number($("temperature").value), max_tokens: Number($("tokens").value) };
    await stream({ messages: asked, stream: true, return_token_ids: true, ...settings }, running.signal, (piece, more) => {
      if (!more.length) return;
      begin ||= performance.now();
      pieces.push(piece);
      ids.push(...more);
      write(element, pieces, (visible) => document.createTextNode(visible));
      element.scrollIntoView({ block: "nearest" });
      speed(ids.length - 1, (performance.now() - begin) / 1000);
    });
  } catch (error) {
    if (error.name !== "AbortError") complain(error.message[0].toUpperCase() + error.message.slice(1));
  }
  running = null;
  $("send").textContent = "Ask";
  element.classList.remove("waiting");
  if (!ids.length) {
    mine.remove();
    element.remove();
    $("question").value = question;
    if (before.attached) attach(before.attached.url, before.attached.known);
    $("question").value = question;
    $("choose").hidden = messages.length > 0;
    return;
  }
  messages = [...asked, { role: "assistant", content: pieces.join("") }];
  const pictures = asked.flatMap((m) => (Array.isArray(m.content) ? m.content : [])).filter((p) => p.image_url).map((p) => p.image_url.url);
  const truth = known && question === known.question ? known.answer : "";
  const request = { messages: asked, token_ids: ids, boxes: truth ? known.boxes : [], pictures };
  const answer = { element, texts: pieces, request, truth };
  answers.set(element, answer);
  current = answer;
  try {
    const reply = await lens.load(request);
    answer.texts = reply?.tokens || [pieces.join("")];
    if (reply) clickable(answer);
  } catch (error) {
    complain(`The lens: ${error.message}`);
  }
  facts();
}

// Figures in the header

let rate = "";
function speed(tokens, seconds) {
  if (tokens > 0 && seconds > 0) rate = `${Math.round(tokens / seconds)} tokens/s`;
  $("speed").textContent = rate;
}

const bytes = (n) => (n < 2 ** 20 ? `${Math.round(n / 1024)} kB` : `${(n / 2 ** 20).toFixed(1)} MB`);

async function facts() {
  const health = await call("/health").catch(() => null);
  if (!health) return;
  const used = `cache ${bytes(health.cache_bytes_used)} of ${bytes(health.cache_bytes)}`;
  $("speed").textContent = [rate, used, `${health.running} of ${health.slots} slots`].filter(Boolean).join(" · ");
}

function renew() {
  running?.abort();
  [messages, known, current] = [[], null, null];
  answers.clear();
  $("log").replaceChildren();
  $("choose").hidden = false;
  $("question").value = "";
  detach();
  complain("");
  lens.clear();
}

$("ask").addEventListener("submit", ask);
$("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) ask(event);
});
document.addEventListener("keydown", (event) => event.key === "Escape" && running?.abort());
$("log").addEventListener("keydown", walk);
$("log").addEventListener("click", (event) => event.target.closest(".t") && pick(event.target.closest(".t")));
$("draw").addEventListener("click", async () => {
  try {
    const drawn = await call("/draw", {});
    attach(drawn.image, drawn, "drawn for you");
  } catch (error) {
    complain(error.message);
  }
});
for (const id of ["upload", "another"]) $(id).addEventListener("click", () => $("file").click());
$("file").addEventListener("change", async () => {
  await choosePicture($("file").files[0]);
  $("file").value = "";
});
$("new").addEventListener("click", renew);
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("over");
});
document.addEventListener("dragleave", () => document.body.classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  choosePicture(event.dataTransfer.files[0]);
});

lens.start(call, mark);
showSamples();
facts();
call("/v1/models").then(
  (reply) => ($("model").textContent = model = reply.data[0].id),
  (error) => complain(error.message),
);
