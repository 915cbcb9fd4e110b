// Recording a voice note, or choosing one from a file: record, stop, say what was said, send.

import { $, minutes, setText } from "/dom.js";
import { hush, previewPlayer } from "/sound.js";
import { api, nameOf, state } from "/state.js";
import { complain } from "/write.js";

/** The longest recording; a longer one is stopped and can be sent. */
const SECONDS_MAX = 600;
/** What a phone records at. */
const BITS_PER_SECOND = 32_000;
/** The largest sound that WhatsApp takes. */
const BYTES_MAX = 16 * 1024 * 1024;
const LEVELS = 24;

/** The note in hand: its phone, its phase (`recording`, `ready`, `sending`), and what belongs to that. */
let note = null;

/** Shows the note in hand if it belongs to the phone that is shown; a recording ends when one turns to another. */
export function showNote() {
  if (note && note.phone !== state.current) finish();
  const shown = note !== null && note.phone === state.current;
  $("note").hidden = !shown;
  $("write").hidden = shown;
  if (!shown) return;
  const { phase, isVoice, name } = note;
  $("note").dataset.phase = phase;
  const kind = isVoice ? "Voice note" : "Audio file";
  const title = name ? `${kind}: ${name}` : kind;
  setText($("note-status"), { recording: "Recording", ready: title, sending: "Sending…" }[phase]);
  $("note-stop").hidden = $("note-live").hidden = phase !== "recording";
  $("note-length").hidden = phase !== "recording";
  $("note-preview").hidden = phase === "recording";
  $("note-said").hidden = phase === "recording" || !isVoice;
  $("note-plain").hidden = phase === "recording" || isVoice;
  $("note-send").hidden = phase === "recording";
  $("note-send").disabled = phase === "sending";
  setText($("note-send"), `Send as ${nameOf(note.phone)}`);
}

// ---------------------------------------------------------------- the microphone

$("record").addEventListener("click", async () => {
  if (note) return;
  complain("");
  hush();
  // Until the browser has asked for the microphone and been answered.
  $("record").disabled = true;
  try {
    await record();
  } catch (error) {
    note?.close?.();
    note = null;
    showNote();
    complain(`No recording: ${microphoneTrouble(error)} You can choose a file instead.`);
  } finally {
    $("record").disabled = false;
  }
});

function microphoneTrouble(error) {
  if (error.name === "NotAllowedError") return "this page may not use the microphone.";
  if (error.name === "NotFoundError") return "there is no microphone.";
  return `${error.message}.`;
}

async function record() {
  if (!navigator.mediaDevices || !globalThis.MediaRecorder) throw new Error("this browser cannot record");
  const phone = state.current;
  const stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  const context = new AudioContext();
  const close = () => {
    for (const track of stream.getTracks()) track.stop();
    if (context.state !== "closed") context.close();
  };
  note = { phone, phase: "recording", close, isVoice: true };
  await context.resume();
  const source = context.createMediaStreamSource(stream);
  // A voice note is mono, whatever the microphone is.
  const mono = new MediaStreamAudioDestinationNode(context, { channelCount: 1, channelCountMode: "explicit" });
  const meter = new AnalyserNode(context, { fftSize: 1024 });
  source.connect(mono);
  source.connect(meter);
  const types = ["audio/webm;codecs=opus", "audio/ogg;codecs=opus", "audio/mp4"];
  const mimeType = types.find((type) => MediaRecorder.isTypeSupported(type));
  const recorder = new MediaRecorder(mono.stream, { mimeType, audioBitsPerSecond: BITS_PER_SECOND });
  const pieces = [];
  recorder.addEventListener("dataavailable", ({ data }) => pieces.push(data));
  recorder.addEventListener("stop", () => {
    close();
    if (note?.recorder !== recorder) return;
    take(new Blob(pieces, { type: recorder.mimeType }), "").catch((error) => discard(error.message));
  });
  note = { ...note, recorder, beganAt: performance.now() };
  recorder.start();
  watch(note, meter);
  showNote();
  $("note-stop").focus();
}

/** Shows length and loudness for as long as this is the note being recorded. */
function watch(recording, meter) {
  const samples = new Float32Array(meter.fftSize);
  const levels = new Array(LEVELS).fill(0);
  const look = () => {
    if (note !== recording || note.phase !== "recording") return;
    const seconds = (performance.now() - recording.beganAt) / 1000;
    setText($("note-length"), minutes(Math.floor(seconds)));
    meter.getFloatTimeDomainData(samples);
    levels.push(Math.max(...samples.map(Math.abs)));
    levels.shift();
    [...$("note-live").children].forEach((bar, place) => {
      bar.style.height = `${3 + Math.min(1, levels[place]) * 21}px`;
    });
    if (seconds >= SECONDS_MAX) finish();
    else setTimeout(look, 80);
  };
  look();
}

$("note-live").append(...Array.from({ length: LEVELS }, () => document.createElement("i")));

$("note-stop").addEventListener("click", finish);

/** Ends the recording, if one is under way; what was recorded is then taken. */
function finish() {
  if (note?.recorder?.state === "recording") note.recorder.stop();
}

// ---------------------------------------------------------------- a file

$("attach").addEventListener("click", () => $("file").click());

$("file").addEventListener("change", async () => {
  const file = $("file").files[0];
  // The same file can be chosen again.
  $("file").value = "";
  if (!file || note) return;
  complain("");
  hush();
  note = { phone: state.current, phase: "ready" };
  try {
    await take(file, file.name);
  } catch (error) {
    discard(error.message);
  }
});

/** A recording or file is ready to be sent. */
async function take(blob, name) {
  if (blob.size === 0) throw new Error("There is nothing in it.");
  if (blob.size > BYTES_MAX) throw new Error("WhatsApp takes sounds of at most 16 MB.");
  note = { phone: note.phone, phase: "ready", blob, name, isVoice: await isVoiceNote(blob) };
  $("note-words").value = "";
  $("note-preview").replaceChildren(previewPlayer(blob));
  showNote();
  if (note.phone === state.current) (note.isVoice ? $("note-words") : $("note-send")).focus();
}

/** Whether it goes as a voice note: WebM, which the sandbox turns into Ogg, or mono Ogg Opus as it is. */
async function isVoiceNote(blob) {
  const bytes = new Uint8Array(await blob.slice(0, 40).arrayBuffer());
  const text = String.fromCharCode(...bytes);
  const isWebm = text.startsWith("\x1a\x45\xdf\xa3");
  // The first page's body begins at byte 28, with version and channels behind its magic word.
  return isWebm || (text.startsWith("OggS") && text.slice(28, 36) === "OpusHead" && bytes[37] === 1);
}

// ---------------------------------------------------------------- sending

$("note").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (note?.phase !== "ready") return;
  const sent = note;
  note.phase = "sending";
  hush();
  showNote();
  const form = new FormData();
  if (sent.isVoice && $("note-words").value.trim()) form.append("words", $("note-words").value.trim());
  form.append("file", sent.blob, sent.name || "recording");
  try {
    await api(`/api/phones/${encodeURIComponent(sent.phone)}/sounds`, form);
    discard("");
  } catch (error) {
    sent.phase = "ready";
    showNote();
    complain(`Not sent. ${error.message}`);
  }
});

$("note-cancel").addEventListener("click", () => discard(""));
$("note").addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || note?.phase === "sending") return;
  // The drawer closes by the same key.
  event.stopPropagation();
  discard("");
});

/** Lets go of the note in hand, and says why if there is something to say. */
function discard(reason) {
  const old = note;
  note = null;
  hush();
  if (old?.recorder?.state === "recording") old.recorder.stop();
  for (const audio of $("note-preview").querySelectorAll("audio")) URL.revokeObjectURL(audio.src);
  $("note-preview").replaceChildren();
  showNote();
  complain(reason);
  if (old?.phone === state.current) $("composer").focus();
}
