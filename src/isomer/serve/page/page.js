// The page: upload, follow the job, then blend frame and probability map, which one video carries, in the browser.
import { Blender } from "./blend.js";

const $ = (id) => document.getElementById(id);
const POLL_MS = 400;
const SETTLED = 5; // frames after which the rate says how long it takes
const video = $("video");
const blender = new Blender($("original"), $("result"));
let job = null; // as the server last said
let upload = null; // the request under way
let turn = 0; // counts submissions: what belongs to an earlier one must not show
let frames = 0;

class Refused extends Error {}

function show(stage) {
  for (const main of document.querySelectorAll("main")) main.hidden = main.id !== stage;
  $("new").hidden = stage !== "player";
  if (stage !== "player") video.pause();
}

function fail(error, mine) {
  if (mine !== turn) return;
  console.error(error);
  $("reason").textContent = error instanceof Refused ? error.message : "The server cannot be reached.";
  show("failure");
}

function startOver() {
  turn++;
  upload?.abort();
  upload = job = null;
  history.replaceState(null, "", location.pathname);
  $("file").value = "";
  show("start");
}

// --- The server ---------------------------------------------------------------------------------------------

function headers() {
  const token = sessionStorage.getItem("token");
  return token ? { Authorization: `Bearer ${token}` } : {};
}

async function askToken() {
  $("door").showModal();
  await new Promise((resolve) => $("door").addEventListener("close", resolve, { once: true }));
  sessionStorage.setItem("token", $("token").value);
}

function reason(status, text) {
  try {
    const { detail } = JSON.parse(text);
    if (typeof detail === "string") return new Refused(detail);
  } catch {} // not ours, perhaps a proxy's
  return new Refused(`The server answered with ${status}.`);
}

async function ask(path, options = {}) {
  for (;;) {
    const response = await fetch(path, { ...options, headers: headers() });
    if (response.status === 401) await askToken();
    else if (response.ok) return response;
    else throw reason(response.status, await response.text());
  }
}

// fetch does not say how far an upload is.
function send(file) {
  return new Promise((resolve, reject) => {
    const form = new FormData();
    form.append("video", file);
    const request = (upload = new XMLHttpRequest());
    request.open("POST", "v1/jobs");
    for (const [name, value] of Object.entries(headers())) request.setRequestHeader(name, value);
    request.upload.onprogress = ({ loaded, total }) =>
      progress(loaded / total, loaded < total ? `Uploading ${Math.round((100 * loaded) / total)} %` : "Checking");
    request.onload = () =>
      request.status === 202
        ? resolve(JSON.parse(request.responseText))
        : reject(reason(request.status, request.responseText));
    request.onerror = () => reject(new Error("no connection"));
    request.onabort = () => resolve(null);
    request.send(form);
  });
}

// --- A job, from the file to the player ---------------------------------------------------------------------

/** Take a job from `find(turn)` to the player; whatever goes wrong is said. */
async function run(name, stage, find) {
  const mine = ++turn;
  $("name").textContent = name;
  progress(null, stage);
  show("work");
  try {
    const found = await find(mine);
    if (mine === turn) await follow(found, mine);
  } catch (error) {
    fail(error, mine);
  }
}

function submit(file) {
  run(file.name, "Uploading", async () => {
    await ask("metrics"); // asks for the token, if there is one, before anything is sent
    return send(file);
  });
}

async function follow(found, mine) {
  upload = null;
  job = found;
  history.replaceState(null, "", `#${job.id}`);
  $("name").textContent = job.name;
  for (;;) {
    if (job.state === "done") return play(mine);
    if (job.error) throw new Refused(job.error);
    describe();
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    const said = await (await ask(`v1/jobs/${found.id}`)).json();
    if (mine !== turn) return;
    job = said;
  }
}

function describe() {
  const { state, position, frames_done: done, frames_total: total, frames_per_second: rate } = job;
  if (state === "queued") return progress(null, `Waiting, number ${position} in the queue`);
  if (!done) return progress(null, "Starting");
  const left = rate && total && done >= SETTLED ? `, ${duration((total - done) / rate)} left` : "";
  const count = total ? `Frame ${done} of ${total}` : `Frame ${done}`;
  progress(total ? Math.min(done / total, 1) : null, count + left, rate ? `${rate.toFixed(1)} frames/s` : "");
}

function progress(share, stage, rate = "") {
  if (share === null) $("progress").removeAttribute("value");
  else $("progress").value = share;
  $("stage").textContent = stage;
  $("rate").textContent = rate;
}

function duration(seconds) {
  return seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.round(seconds / 60)} min`;
}

/** Set the controls of results to the ranges, defaults and words that the server describes. */
async function offer() {
  const { paths } = await (await ask("openapi.json")).json();
  const asked = paths["/v1/jobs/{job_id}/results/{kind}"].get.parameters;
  const { threshold, objects } = Object.fromEntries(asked.map((parameter) => [parameter.name, parameter]));
  const { exclusiveMinimum: low, exclusiveMaximum: high, multipleOf: step } = threshold.schema;
  Object.assign($("threshold"), { step, min: low + step, max: high - step, title: threshold.description });
  $("threshold").value = threshold.schema.default;
  $("threshold").oninput();
  $("objects").checked = objects.schema.default;
  $("objects").parentElement.title = objects.description;
}

async function play(mine) {
  progress(1, "Loading the result");
  if (!$("value").textContent) await offer();
  const content = await (await ask(`v1/jobs/${job.id}/preview`)).blob();
  if (mine !== turn) return;
  URL.revokeObjectURL(video.src);
  video.src = URL.createObjectURL(content);
  await new Promise((resolve, reject) => {
    video.onloadeddata = resolve;
    video.onerror = () => reject(new Refused("This browser cannot play H.264 video."));
  });
  frames = job.frames_total;
  $("scrub").max = frames - 1;
  $("facts").textContent = `${job.width} × ${job.height}, ${frames} frames, ${+job.fps.toFixed(2)} fps`;
  notice(job.warning ?? (blender.works ? "" : "This browser has no WebGL: results can be downloaded but not shown."));
  for (const canvas of [$("original"), $("result")]) canvas.classList.toggle("wide", job.width > job.height);
  show("player");
  draw();
  video.play().catch(() => {}); // some browsers want a tap first
}

// --- The player ---------------------------------------------------------------------------------------------

const view = () => document.querySelector("[name=view]:checked").value;
const frame = () => Math.min(frames - 1, Math.floor((video.currentTime / video.duration) * frames + 1e-3));

function draw() {
  if (video.readyState < HTMLMediaElement.HAVE_CURRENT_DATA) return;
  blender.draw(video, view(), Number($("threshold").value));
  $("scrub").value = frame();
  $("position").textContent = `${frame() + 1} / ${frames}`;
}

function everyFrame(callback) {
  const next = () => ("requestVideoFrameCallback" in video ? video.requestVideoFrameCallback(run) : requestAnimationFrame(run));
  const run = () => {
    callback();
    next();
  };
  next();
}

function seek(index) {
  video.pause();
  video.currentTime = ((Math.max(0, Math.min(frames - 1, index)) + 0.5) / frames) * video.duration;
}

function toggle() {
  if (video.paused) video.play();
  else video.pause();
}

function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
}

async function download(button) {
  const { kind } = button.dataset;
  const label = button.querySelector("small");
  const [was, { id, name }] = [label.textContent, job];
  button.disabled = true;
  label.textContent = "Writing…";
  try {
    const response = await ask(`v1/jobs/${id}/results/${kind}?${new URLSearchParams({
      threshold: $("threshold").value,
      objects: $("objects").checked,
    })}`);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await response.blob());
    const suffix = { "video/mp4": "mp4", "video/webm": "webm" }[response.headers.get("content-type")] ?? "zip";
    link.download = `${name.replace(/\.[^.]*$/, "")}_${kind}.${suffix}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    notice(`${link.download} is ready.`);
  } catch (error) {
    notice(error instanceof Refused ? error.message : "The server cannot be reached.");
  } finally {
    button.disabled = false;
    label.textContent = was;
  }
}

// --- What the user does -------------------------------------------------------------------------------------

$("file").onchange = () => $("file").files[0] && submit($("file").files[0]);
$("example").onclick = () =>
  run("example.mp4", "Drawing the example", async (mine) => {
    const drawn = await (await ask("example.mp4")).blob();
    return mine === turn ? send(new File([drawn], "example.mp4")) : null;
  });
for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
  addEventListener(type, (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", type === "dragenter" || type === "dragover");
    const file = type === "drop" && event.dataTransfer.files[0];
    if (file && (!$("start").hidden || !$("player").hidden || !$("failure").hidden)) submit(file);
  });
}
$("cancel").onclick = () => {
  const id = job?.id;
  startOver();
  if (id) ask(`v1/jobs/${id}`, { method: "DELETE" }).catch(console.error);
};
$("new").onclick = $("again").onclick = startOver;
$("play").onclick = toggle;
$("scrub").oninput = () => seek(Number($("scrub").value));
$("threshold").oninput = () => {
  $("value").textContent = Number($("threshold").value).toFixed(2);
  draw();
};
for (const choice of document.querySelectorAll("[name=view]")) {
  choice.onchange = () => {
    $("shown").textContent = choice.nextElementSibling.textContent;
    draw();
  };
}
for (const button of document.querySelectorAll("#downloads button")) button.onclick = () => download(button);
video.onplay = video.onpause = () => $("play").classList.toggle("playing", !video.paused);
video.onseeked = draw;
addEventListener("keydown", (event) => {
  if ($("player").hidden || event.target.matches("input, button")) return;
  const act = { " ": toggle, ArrowLeft: () => seek(frame() - 1), ArrowRight: () => seek(frame() + 1) }[event.key];
  if (act) event.preventDefault();
  act?.();
});

everyFrame(draw);
$("local").hidden = !["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
if (location.hash) {
  run("", "Looking for the job", async () => (await ask(`v1/jobs/${location.hash.slice(1)}`)).json());
}
