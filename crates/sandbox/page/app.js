// The phone page: shows what /api/state and /api/events tell, and sends what the person writes, says and breaks.
//
// It keeps no truth of its own: after every (re)connection the state is read again, and each event replaces one
// bubble, switch or phone. chat.js shows messages, sound.js plays them, write.js and note.js make new ones, drawer.js
// breaks things, phones.js chooses whose phone it is; state.js is what they share.

import { putBubble, showChat } from "/chat.js";
import { $, element, setText, spoken } from "/dom.js";
import { takeSwitch } from "/drawer.js";
import { showPhones, showTyping, takePhone } from "/phones.js";
import { api, chatOf, KEPT, nameOf, PERSONA, state } from "/state.js";

/** Wait before a closed event stream is opened again; an interrupted one reconnects by itself. */
const RECONNECT_MS = 1500;

/** Opens the event stream, and reads the whole state whenever it is (re)opened. */
function listen() {
  const events = new EventSource("/api/events");
  // What arrives while the state is being read is applied after it, or an older state would undo it.
  let waiting = null;

  const reload = async () => {
    if (waiting) return;
    waiting = [];
    try {
      take(await api("/api/state"));
      state.connected = true;
    } catch {
      state.connected = false;
      setTimeout(reload, RECONNECT_MS);
    }
    const late = waiting;
    waiting = null;
    for (const apply of late) apply();
    showServer();
    showTyping();
  };
  const on = (name, apply) => events.addEventListener(name, (event) => {
    const value = event.data ? JSON.parse(event.data) : {};
    if (waiting) waiting.push(() => apply(value));
    else apply(value);
  });

  on("bubble", takeBubble);
  on("typing", ({ phone, on: typing }) => {
    state.typing.set(phone, typing);
    showTyping();
  });
  on("server", ({ status }) => takeServer(status));
  on("switch", ({ name, on: isOn }) => takeSwitch(name, isOn));
  on("phone", takePhone);
  events.addEventListener("reload", reload);
  events.addEventListener("open", reload);
  events.addEventListener("error", () => {
    state.connected = false;
    showServer();
    showTyping();
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  });
}

// ---------------------------------------------------------------- taking in what the sandbox says

function take({ server, switches, phones, chats, typing }) {
  if (phones.length < state.phones.length) $("phones").replaceChildren();
  state.phones = phones;
  state.chats = new Map(Object.entries(chats ?? {}).map(([phone, bubbles]) => [
    phone, new Map(bubbles.map((bubble) => [bubble.id, bubble])),
  ]));
  state.typing = new Map(Object.entries(typing ?? {}));
  if (!phones.some(({ phone }) => phone === state.current)) state.current = phones[0]?.phone ?? "";
  takeServer(server);
  for (const [name, isOn] of Object.entries(switches ?? {})) takeSwitch(name, isOn);
  showPhones();
  showChat();
}

function takeBubble(bubble) {
  const chat = chatOf(bubble.phone);
  const isNew = !chat.has(bubble.id);
  chat.set(bubble.id, bubble);
  if (chat.size > KEPT) chat.delete(chat.keys().next().value);
  const isShown = bubble.phone === state.current;
  if (isNew && bubble.from === "persona") {
    if (!isShown) state.unread.set(bubble.phone, (state.unread.get(bubble.phone) ?? 0) + 1);
    const to = isShown ? "" : ` to ${nameOf(bubble.phone)}`;
    // One paragraph each, so that bubbles in quick succession are all read out.
    $("announcer").append(element("p", [`${PERSONA}${to}: ${readOut(bubble)}`]));
    while ($("announcer").children.length > 5) $("announcer").firstElementChild.remove();
  }
  if (isShown) putBubble(bubble);
  if (isNew) showPhones();
}

/** A message as it is read out when it comes. */
function readOut({ text, sound }) {
  if (!sound) return text.slice(0, 300);
  const length = sound.length_ms === null ? "" : `, ${spoken(sound.length_ms / 1000)}`;
  return `${sound.is_voice ? "a voice note" : "an audio file"}${length}`;
}

function takeServer(status) {
  state.server = status;
  if (status === "up") state.wasUp = true;
  showServer();
}

// ---------------------------------------------------------------- header

function showServer() {
  const status = state.connected ? state.server : "lost";
  const words = {
    up: "Server up",
    down: "Server down",
    starting: state.wasUp ? "Server restarting…" : "Server starting…",
    lost: "Page offline, reconnecting…",
  };
  $("server-status").dataset.status = status;
  setText($("server-status"), words[status] ?? status);
}

listen();
// A touch keyboard that jumps up uninvited would hide the page.
if (matchMedia("(pointer: fine)").matches) $("composer").focus();
