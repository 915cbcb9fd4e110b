// A sound as it is played: button, waveform, length, and what is said in it.
//
// The bytes are fetched whole, once they come into view: the waveform is drawn from the decoded sound, and the audio
// element plays the same bytes. Only one sound plays at a time.

import { $, element, minutes, setText, spoken } from "/dom.js";

const BARS = 44;
/** Sounds kept in memory beside those that are shown. */
const SOUNDS_MAX = 100;
/** The bars of a sound that the browser cannot decode, or has not decoded yet. */
const FLAT = new Array(BARS).fill(0.12);

/** media id -> promise of { url, bars, seconds } */
const sounds = new Map();
/** The player that plays at present. */
let playing = null;

/** Stops whatever plays. */
export function hush() {
  playing?.pause();
}

/**
 * A player of a sound of the chat. `whose`: for its name. `onPlay`: called whenever it begins to play; only for what
 * the person has got, which is new until then.
 */
export function soundPlayer(sound, whose, onPlay) {
  const player = newPlayer(() => fetched(sound.media), onPlay);
  player.dataset.kind = sound.is_voice ? "voice" : "audio";
  player.dataset.whose = whose;
  player.dataset.isNews = String(Boolean(onPlay));
  const button = player.querySelector(".transcript");
  button.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    player.querySelector(".words").hidden = !open;
    if (open) player.closest(".bubble")?.scrollIntoView({ block: "nearest" });
  });
  refreshSound(player, sound);
  seen.observe(player);
  return player;
}

/** A player of bytes that have not been sent yet. */
export function previewPlayer(blob) {
  const player = newPlayer(() => read(blob));
  player.querySelector(".said").remove();
  player.dataset.kind = "preview";
  player.dataset.whose = "Your";
  player.load();
  return player;
}

/** Shows what may have changed: whether it was played, and what is known of its words. */
export function refreshSound(player, sound) {
  player.dataset.played = String(Boolean(sound.is_played));
  if (sound.length_ms !== null) player.dataset.seconds = sound.length_ms / 1000;
  const words = player.querySelector(".words");
  const text = JSON.stringify([sound.words, sound.heard]);
  if (words.dataset.source !== text) {
    words.dataset.source = text;
    words.replaceChildren(...transcript(sound));
  }
  const isNew = sound.is_voice && !sound.is_played && player.dataset.isNews === "true";
  setText(player.querySelector(".mic .unseen"), isNew ? "not played yet" : "");
  player.show();
}

/** What is said in a sound, and how anybody knows. */
function transcript({ is_voice: isVoice, words, heard }) {
  const quote = (text) => element("q", [text]);
  if (words) {
    const same = heard === words ? [element("p", ["The transcription heard exactly these words."], "how")] : [];
    return [element("p", [quote(words)]), ...same];
  }
  const nobody = isVoice ? "Nobody wrote down what is said here." : "An audio file has no place for its words.";
  if (heard === null) return [element("p", [`${nobody} It has not been transcribed.`], "how")];
  if (heard === "") return [element("p", [`${nobody} The transcription heard nothing.`], "how")];
  return [
    element("p", [`${nobody} The stand-in of the transcription made this up, as real models do:`], "how"),
    element("p", [quote(heard)]),
  ];
}

// ---------------------------------------------------------------- the player

function newPlayer(fetchSound, onPlay) {
  const player = $("sound-template").content.firstElementChild.cloneNode(true);
  const audio = player.querySelector("audio");
  const seek = player.querySelector(".seek");
  const length = () => Number.isFinite(audio.duration) ? audio.duration : Number(player.dataset.seconds ?? 0);
  draw(player, FLAT);

  player.show = () => {
    const share = length() > 0 ? Math.min(1, audio.currentTime / length()) : 0;
    const bars = player.querySelectorAll("rect");
    bars.forEach((bar, place) => bar.classList.toggle("past", (place + 0.5) / BARS < share));
    seek.value = Math.round(share * 1000);
    seek.setAttribute("aria-valuetext", `${minutes(audio.currentTime)} of ${minutes(length())}`);
    const begun = !audio.paused || audio.currentTime > 0;
    setText(player.querySelector(".time"), minutes(begun ? audio.currentTime : length()));
    const { kind, whose } = player.dataset;
    const what = `${whose} ${kind === "audio" ? "audio file" : "voice note"}, ${spoken(length())}`;
    player.querySelector(".play").setAttribute("aria-label", `${audio.paused ? "Play" : "Pause"} ${what}`);
    seek.setAttribute("aria-label", `Position in ${what}`);
    player.dataset.state = audio.paused ? "silent" : "playing";
  };

  let loading = null;
  player.load = () => {
    loading ??= fetchSound().then(({ url, bars, seconds }) => {
      // A recorder's file does not tell its length to every browser.
      player.dataset.seconds ??= seconds;
      audio.src = url;
      draw(player, bars);
      player.show();
    }).catch((error) => {
      loading = null;
      player.dataset.state = "broken";
      setText(player.querySelector(".time"), error.message);
    });
    return loading;
  };

  player.querySelector(".play").addEventListener("click", async () => {
    if (!audio.paused) {
      audio.pause();
      return;
    }
    await player.load();
    // A sound that cannot be played says so by its error event.
    await audio.play().catch(() => {});
  });
  seek.addEventListener("input", () => {
    audio.currentTime = length() * Number(seek.value) / 1000;
    player.show();
  });
  listenTo(audio, player, onPlay);
  return player;
}

function listenTo(audio, player, onPlay) {
  const follow = () => {
    player.show();
    if (!audio.paused) requestAnimationFrame(follow);
  };
  audio.addEventListener("play", () => {
    if (playing !== audio) hush();
    playing = audio;
    onPlay?.();
    follow();
  });
  audio.addEventListener("pause", player.show);
  audio.addEventListener("loadedmetadata", player.show);
  audio.addEventListener("ended", () => {
    audio.currentTime = 0;
    player.show();
  });
  audio.addEventListener("error", () => {
    player.dataset.state = "broken";
    setText(player.querySelector(".time"), "This browser cannot play it");
  });
}

/** Draws the waveform: one bar per share of the time, between 0 and 1. */
function draw(player, bars) {
  const svg = player.querySelector(".bars");
  svg.setAttribute("viewBox", `0 0 ${BARS * 3} 30`);
  svg.replaceChildren(...bars.map((share, place) => {
    const bar = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    const height = 3 + share * 25;
    const shape = { x: place * 3 + 0.5, y: 15 - height / 2, width: 2, height, rx: 1 };
    for (const [name, value] of Object.entries(shape)) bar.setAttribute(name, value);
    return bar;
  }));
}

/** Fetches the sounds that come into view. */
const seen = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    seen.unobserve(target);
    target.load();
  }
}, { rootMargin: "300px" });

// ---------------------------------------------------------------- bytes

function fetched(media) {
  if (!sounds.has(media)) {
    const sound = fetch(`/api/sounds/${encodeURIComponent(media)}`).then((answer) => {
      if (!answer.ok) throw new Error("no longer kept");
      return answer.blob();
    }).then(read);
    sounds.set(media, sound);
    // What failed is asked for again next time.
    sound.catch(() => sounds.delete(media));
    if (sounds.size > SOUNDS_MAX) forgetOne();
  }
  return sounds.get(media);
}

/** Forgets the oldest sound that is not shown. */
async function forgetOne() {
  for (const [media, sound] of sounds) {
    const { url } = await sound.catch(() => ({}));
    if (!url || document.querySelector(`audio[src="${url}"]`)) continue;
    sounds.delete(media);
    URL.revokeObjectURL(url);
    return;
  }
}

async function read(blob) {
  const url = URL.createObjectURL(blob);
  try {
    const context = new OfflineAudioContext(1, 1, 16_000);
    const decoded = await context.decodeAudioData(await blob.arrayBuffer());
    return { url, bars: loudness(decoded.getChannelData(0)), seconds: decoded.duration };
  } catch {
    // The audio element may still be able to play it.
    return { url, bars: FLAT, seconds: 0 };
  }
}

/** How loud each part is, compared with the loudest. */
function loudness(samples) {
  const part = Math.max(1, Math.floor(samples.length / BARS));
  const levels = Array.from({ length: BARS }, (_, place) => {
    const slice = samples.subarray(place * part, (place + 1) * part);
    return Math.sqrt(slice.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, slice.length));
  });
  // What is as quiet as this is silence, and is not blown up to look like speech.
  const loudest = Math.max(0.003, ...levels);
  return levels.map((level) => level / loudest);
}
