// The phone page: shows what /api/state and /api/events tell, and sends what the person writes.
//
// It keeps no truth of its own: after every (re)connection the state is read again, and each event replaces one
// bubble, flag or phone. Text from outside only ever becomes text nodes, never markup.

const PERSONA = "Joe";
/** Bubbles kept per phone: more than anybody scrolls back, few enough for the page to stay quick. */
const KEPT = 500;
/** Wait before a closed event stream is opened again; an interrupted one reconnects by itself. */
const RECONNECT_MS = 1500;
/** How far from the end, in pixels, still counts as reading the newest message. */
const NEAR_END = 120;

const $ = (id) => document.getElementById(id);

const state = {
  phones: [],
  /** phone -> Map of id -> bubble */
  chats: new Map(),
  typing: new Map(),
  unread: new Map(),
  drafts: new Map(),
  current: "",
  server: "starting",
  wasUp: false,
  modelDown: false,
  connected: false,
};

// ---------------------------------------------------------------- the server's API

/** Asks the sandbox: a GET, or a POST if there is a body. Its error says what to tell the person. */
async function api(path, body) {
  const headers = { "content-type": "application/json" };
  const answer = await fetch(path, body && { method: "POST", headers, body: JSON.stringify(body) }).catch(() => {
    throw new Error("The sandbox does not answer. Is it still running?");
  });
  // An answer without JSON still has its status.
  const value = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const said = value?.error?.message ?? value?.error;
    throw new Error(typeof said === "string" ? said : `The sandbox answered ${answer.status}.`);
  }
  return value;
}

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
  on("model", ({ down }) => takeModel(down));
  on("phone", takePhone);
  events.addEventListener("reload", reload);
  events.addEventListener("open", reload);
  events.addEventListener("error", () => {
    state.connected = false;
    showServer();
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, RECONNECT_MS);
  });
}

// ---------------------------------------------------------------- taking in what the server says

function take({ server, model_down: modelDown, phones, chats, typing }) {
  if (phones.length < state.phones.length) $("phones").replaceChildren();
  state.phones = phones;
  state.chats = new Map(Object.entries(chats ?? {}).map(([phone, bubbles]) => [
    phone, new Map(bubbles.map((bubble) => [bubble.id, bubble])),
  ]));
  state.typing = new Map(Object.entries(typing ?? {}));
  if (!phones.some(({ phone }) => phone === state.current)) state.current = phones[0]?.phone ?? "";
  takeServer(server);
  takeModel(Boolean(modelDown));
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
    $("announcer").append(element("p", [`${PERSONA}${to}: ${bubble.text.slice(0, 300)}`]));
    while ($("announcer").children.length > 5) $("announcer").firstElementChild.remove();
  }
  if (isShown) putBubble(bubble);
  if (isNew) showPhones();
}

function takePhone(phone) {
  if (state.phones.some((known) => known.phone === phone.phone)) return;
  state.phones.push(phone);
  showPhones();
}

function takeServer(status) {
  state.server = status;
  if (status === "up") state.wasUp = true;
  showServer();
}

function takeModel(down) {
  state.modelDown = down;
  $("model-status").hidden = !down;
  $("drawer-model").setAttribute("aria-pressed", String(down));
}

function chatOf(phone) {
  if (!state.chats.has(phone)) state.chats.set(phone, new Map());
  return state.chats.get(phone);
}

const nameOf = (phone) => state.phones.find((known) => known.phone === phone)?.name ?? phone;

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

function showTyping() {
  const typing = Boolean(state.typing.get(state.current));
  $("typing").hidden = !typing;
  $("holder").hidden = typing;
  for (const tab of $("phones").children) {
    tab.classList.toggle("is-typing", Boolean(state.typing.get(tab.dataset.phone)));
  }
}

// ---------------------------------------------------------------- phones

function showPhones() {
  const list = $("phones");
  for (const [place, phone] of state.phones.entries()) {
    const tab = [...list.children].find((known) => known.dataset.phone === phone.phone) ?? newTab(list, phone, place);
    const selected = phone.phone === state.current;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    const last = inOrder(phone.phone).at(-1);
    const by = last?.from === "persona" ? `${PERSONA}: ` : "";
    const preview = last ? by + last.text.slice(0, 120).replace(/[*_~`]/g, "") : `+${phone.phone}`;
    setText(tab.querySelector(".preview"), preview);
    setTime(tab.querySelector("time"), last?.at);
    const unread = selected ? 0 : state.unread.get(phone.phone) ?? 0;
    tab.querySelector(".unread").hidden = unread === 0;
    setText(tab.querySelector(".unread b"), unread > 99 ? "99+" : `${unread}`);
  }
  showTyping();
}

function newTab(list, { phone, name }, place) {
  const tab = $("phone-template").content.firstElementChild.cloneNode(true);
  tab.dataset.phone = phone;
  tab.id = `phone-${phone}`;
  tab.title = `+${phone}`;
  tab.querySelector(".face").textContent = [...name][0]?.toUpperCase() ?? "?";
  tab.querySelector(".face").dataset.tone = place % 5;
  tab.querySelector(".name").textContent = name;
  tab.addEventListener("click", () => choose(phone));
  list.append(tab);
  return tab;
}

function choose(phone) {
  if (phone === state.current) return;
  state.drafts.set(state.current, $("composer").value);
  state.current = phone;
  following = true;
  state.unread.delete(phone);
  $("composer").value = state.drafts.get(phone) ?? "";
  complain("");
  say("");
  fitComposer();
  showPhones();
  showChat();
  $(`phone-${phone}`)?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

$("phones").addEventListener("keydown", (event) => {
  const tabs = [...$("phones").children];
  const here = tabs.findIndex((tab) => tab.dataset.phone === state.current);
  const [before, after] = [tabs.at(here - 1), tabs[(here + 1) % tabs.length]];
  const arrows = { ArrowUp: before, ArrowLeft: before, ArrowDown: after, ArrowRight: after };
  const goal = { ...arrows, Home: tabs[0], End: tabs.at(-1) }[event.key];
  if (!goal) return;
  event.preventDefault();
  choose(goal.dataset.phone);
  goal.focus();
});

$("new-phone").addEventListener("submit", async (event) => {
  event.preventDefault();
  try {
    const phone = await api("/api/phones", { name: $("new-name").value.trim() });
    takePhone(phone);
    $("new-name").value = "";
    choose(phone.phone);
    $("composer").focus();
  } catch (error) {
    complain(error.message);
  }
});

// ---------------------------------------------------------------- the chat

/** Whether the newest message is in view, so that the chat stays at its end. */
let following = true;

const inOrder = (phone) => [...chatOf(phone).values()].sort((one, other) => one.at - other.at);

function showChat() {
  const open = new Set([...document.querySelectorAll(".bubble:has(.trail[open])")].map(({ dataset }) => dataset.id));
  const place = $("chat").scrollTop;
  $("chat").replaceChildren();
  for (const bubble of inOrder(state.current).slice(-KEPT)) {
    appendBubble(bubble).querySelector(".trail").open = open.has(bubble.id);
  }
  setText($("holder"), `on ${nameOf(state.current)}’s phone`);
  $("panel").setAttribute("aria-labelledby", `phone-${state.current}`);
  showTyping();
  invite();
  if (following) toEnd();
  else $("chat").scrollTop = place;
}

/** Shows a bubble that is new or has changed, in its place. */
function putBubble(bubble) {
  const shown = document.querySelector(`.bubble[data-id="${CSS.escape(bubble.id)}"]`);
  if (shown) {
    fillBubble(shown, bubble);
  } else if (Number(lastBubble()?.dataset.at ?? 0) > bubble.at) {
    showChat();
  } else {
    appendBubble(bubble);
    while ($("chat").children.length > KEPT) $("chat").firstElementChild.remove();
    invite();
  }
  if (following || (!shown && bubble.from === "person")) toEnd();
  else if (!shown) $("newest").hidden = false;
}

/** A day is only ever written before a bubble, so the last child is one. */
const lastBubble = () => $("chat").lastElementChild;

function appendBubble(bubble) {
  const before = lastBubble();
  if (!before || dayOf(Number(before.dataset.at)) !== dayOf(bubble.at)) {
    $("chat").append(element("p", [dayOf(bubble.at)], "day"));
  }
  const node = $("bubble-template").content.firstElementChild.cloneNode(true);
  node.dataset.id = bubble.id;
  node.dataset.from = bubble.from;
  node.dataset.at = bubble.at;
  // A run of bubbles from the same side stands closer together.
  node.classList.toggle("follows", before?.dataset.from === bubble.from && bubble.at - before.dataset.at < 60_000);
  node.setAttribute("aria-label", bubble.from === "persona" ? PERSONA : nameOf(bubble.phone));
  fillBubble(node, bubble);
  $("chat").append(node);
  return node;
}

const TICKS = { pending: "not sent yet", sent: "sent", delivered: "delivered", read: "read" };

function fillBubble(node, bubble) {
  node.dataset.ticks = bubble.ticks;
  const text = node.querySelector(".text");
  if (text.dataset.source !== bubble.text) {
    text.dataset.source = bubble.text;
    text.replaceChildren(...marked(bubble.text));
  }
  setTime(node.querySelector("footer > time"), bubble.at);
  setText(node.querySelector(".ticks .unseen"), TICKS[bubble.ticks] ?? "");
  const trail = bubble.trail ?? [];
  const start = trail[0]?.at;
  node.querySelector(".trail ol").replaceChildren(...trail.map(({ at, text: what }, step) => {
    const time = element("time", [step === 0 ? clock(at) : elapsed(at - start)]);
    time.title = new Date(at).toISOString();
    return element("li", [time, " ", what]);
  }));
}

function toEnd() {
  $("chat").scrollTop = $("chat").scrollHeight;
  following = true;
  $("newest").hidden = true;
}

$("newest").addEventListener("click", () => {
  toEnd();
  $("chat").focus({ preventScroll: true });
});

$("chat").addEventListener("scroll", () => {
  const chat = $("chat");
  following = chat.scrollHeight - chat.scrollTop - chat.clientHeight < NEAR_END;
  if (following) $("newest").hidden = true;
}, { passive: true });

// The drawer, a turned phone and its keyboard change the height of the chat.
new ResizeObserver(() => following && toEnd()).observe($("chat"));

// A trail that opens below the edge is brought into view. The event does not bubble, so it is caught on its way.
$("chat").addEventListener("toggle", ({ target }) => {
  if (target.open) target.closest(".bubble")?.scrollIntoView({ block: "nearest" });
}, true);

// ---------------------------------------------------------------- an empty chat invites

const INVITATIONS = {
  en: {
    say: "The kitchen is open. Joe has opinions on your carbonara, your landlord and your last review. Ask.",
    suggestions: (name) => [
      `Hi Joe, I'm ${name}`, "Does cream go in carbonara?", "We got a one star review", "Tell me a story",
    ],
  },
  it: {
    say: "La cucina è aperta. Joe ha un’opinione sulla carbonara, sull’affitto e sulle recensioni. Chiedi.",
    suggestions: (name) => [
      `Ciao Joe, mi chiamo ${name}`, "La panna nella carbonara?", "Il martedì non viene nessuno", "Mi dai una ricetta?",
    ],
  },
};

function invite() {
  const empty = chatOf(state.current).size === 0;
  $("invitation").hidden = !empty;
  if (!empty) return;
  // 39 is Italy's country code.
  const language = state.current.startsWith("39") ? "it" : "en";
  const { say: line, suggestions } = INVITATIONS[language];
  $("invitation").lang = language;
  setText($("invitation").querySelector(".say"), line);
  $("invitation").querySelector(".suggestions").replaceChildren(...suggestions(nameOf(state.current)).map((text) => {
    const button = element("button", [text]);
    button.type = "button";
    button.addEventListener("click", () => {
      send(text);
      $("composer").focus();
    });
    return button;
  }));
}

// ---------------------------------------------------------------- writing

async function send(text) {
  try {
    await api(`/api/phones/${encodeURIComponent(state.current)}/messages`, { text });
    complain("");
    return true;
  } catch (error) {
    complain(`Not sent. ${error.message}`);
    return false;
  }
}

$("write").addEventListener("submit", async (event) => {
  event.preventDefault();
  const composer = $("composer");
  const phone = state.current;
  const text = composer.value.trim();
  if (!text) return;
  // Cleared at once, so that the next message can be written while this one is on its way.
  composer.value = "";
  fitComposer();
  composer.focus();
  if (await send(text)) return;
  if (state.current === phone && !composer.value) composer.value = text;
  else if (!state.drafts.get(phone)) state.drafts.set(phone, text);
  fitComposer();
});

$("composer").addEventListener("keydown", (event) => {
  // An Enter that ends an input method's composition belongs to the input method.
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  $("write").requestSubmit();
});

$("composer").addEventListener("input", fitComposer);

function fitComposer() {
  const composer = $("composer");
  composer.style.height = "auto";
  composer.style.height = `${composer.scrollHeight + composer.offsetHeight - composer.clientHeight}px`;
  const left = composer.maxLength - composer.value.length;
  $("left").hidden = left > 300;
  setText($("left"), `${left}`);
}

function complain(text) {
  $("trouble").hidden = !text;
  setText($("trouble"), text);
}

// ---------------------------------------------------------------- the drawer

function openDrawer(open) {
  $("drawer").hidden = !open;
  $("drawer-open").setAttribute("aria-expanded", String(open));
  if (open) $("drawer-title").focus();
  else $("drawer-open").focus();
}

$("drawer-open").addEventListener("click", () => openDrawer($("drawer").hidden));
$("drawer-close").addEventListener("click", () => openDrawer(false));
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !$("drawer").hidden) openDrawer(false);
});

const say = (text) => setText($("drawer-said"), text);

/** Lets a drawer button do `act`, and says below the buttons how that went. */
function drawerButton(id, act) {
  $(id).addEventListener("click", async () => {
    try {
      say(await act());
    } catch (error) {
      say(error.message);
    }
  });
}

drawerButton("drawer-twice", async () => {
  const phone = state.current;
  const wrote = inOrder(phone).some(({ from }) => from === "person");
  if (!wrote) return `${nameOf(phone)} has not written anything yet. Send a message first.`;
  await api("/api/drawer/twice", { phone });
  return `${nameOf(phone)}’s last message is on its way again. Open its trail.`;
});
drawerButton("drawer-kill", async () => {
  await api("/api/drawer/kill", {});
  return "Killed. Watch the status in the header.";
});
drawerButton("drawer-model", async () => {
  const down = !state.modelDown;
  await api("/api/drawer/model", { down });
  takeModel(down);
  return down ? "The model is down. Write something and watch its trail." : "The model answers again.";
});

// ---------------------------------------------------------------- WhatsApp's marks, as nodes

/** The nodes that show `text` with its marks: code blocks, lists, quotes, *bold*, _italic_, ~strike~ and `code`. */
function marked(text) {
  // Even pieces stand outside code blocks, odd ones inside; an unclosed block is plain text.
  const pieces = text.split("```");
  if (pieces.length % 2 === 0) pieces.push(`\`\`\`${pieces.pop()}`);
  return pieces.flatMap((piece, place) => {
    if (place % 2 === 1) return [element("pre", [piece.replace(/^\n|\n$/g, "")])];
    return blocks(place > 0 ? piece.replace(/^\n/, "") : piece);
  });
}

const LINE_KINDS = [
  { block: "ul", pattern: /^\s*[-*•]\s+(.*)$/ },
  { block: "ol", pattern: /^\s*(\d{1,3})[.)]\s+(.*)$/ },
  { block: "blockquote", pattern: /^>\s?(.*)$/ },
];

function blocks(text) {
  const nodes = [];
  let open = null;
  let plain = [];
  const flush = () => {
    // One paragraph per run of lines: the style sheet keeps its line breaks.
    const run = plain.join("\n").replace(/^\n+|\n+$/g, "");
    if (run) nodes.push(...run.split(/\n{2,}/).map((paragraph) => element("p", spans(paragraph))));
    plain = [];
  };
  for (const line of text.split("\n")) {
    const kind = LINE_KINDS.find(({ pattern }) => pattern.test(line));
    if (!kind) {
      open = null;
      plain.push(line);
      continue;
    }
    flush();
    if (open?.localName !== kind.block) {
      open = element(kind.block, []);
      nodes.push(open);
    }
    const parts = kind.pattern.exec(line);
    const item = element(kind.block === "blockquote" ? "p" : "li", spans(parts.at(-1)));
    if (kind.block === "ol") item.value = Number(parts[1]);
    open.append(item);
  }
  flush();
  return nodes;
}

const MARKS = { "*": "strong", "_": "em", "~": "s", "`": "code" };

/** `text` as nodes; a mark counts only at the edge of words, on one line, and not within itself. */
function spans(text, marks = "*_~`") {
  const nodes = [];
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const mark = text[at];
    const end = marks.includes(mark) ? closing(text, at) : -1;
    if (end < 0) continue;
    const inside = text.slice(at + 1, end);
    const inner = mark === "`" ? [inside] : spans(inside, marks.replace(mark, ""));
    nodes.push(text.slice(from, at), element(MARKS[mark], inner));
    from = end + 1;
    at = end;
  }
  nodes.push(text.slice(from));
  return nodes;
}

const isWord = (letter) => letter !== undefined && /[\p{L}\p{N}]/u.test(letter);
const isSpace = (letter) => letter === undefined || /\s/.test(letter);

/** Where the mark that opens at `at` closes, or -1. */
function closing(text, at) {
  if (isWord(text[at - 1]) || isSpace(text[at + 1]) || text[at + 1] === text[at]) return -1;
  for (let end = at + 2; end < text.length && text[end] !== "\n"; end += 1) {
    if (text[end] === text[at] && !isSpace(text[end - 1]) && !isWord(text[end + 1])) return end;
  }
  return -1;
}

// ---------------------------------------------------------------- small things

function element(name, children, className = "") {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Sets a text only if it changed, so that a live region does not speak twice. */
function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

const shortTime = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const longTime = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });
const day = new Intl.DateTimeFormat(undefined, { weekday: "long", day: "numeric", month: "long" });

function setTime(node, at) {
  setText(node, at ? shortTime.format(at) : "");
  if (!at) return;
  node.dateTime = new Date(at).toISOString();
  node.title = longTime.format(at);
}

const dayOf = (at) => day.format(at) === day.format(Date.now()) ? "Today" : day.format(at);

const clock = (at) => new Date(at).toTimeString().slice(0, 8);
const elapsed = (ms) => ms < 1000 ? `+${Math.round(ms)} ms` : `+${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;

listen();
// A touch keyboard that jumps up uninvited would hide the page.
if (matchMedia("(pointer: fine)").matches) $("composer").focus();
