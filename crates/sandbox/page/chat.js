// The chat: bubbles with their ticks and trails, the place one reads at, and an invitation while it is empty.

import { $, clock, dayOf, elapsed, element, setText, setTime } from "/dom.js";
import { marked } from "/marks.js";
import { showTyping } from "/phones.js";
import { hush, refreshSound, soundPlayer } from "/sound.js";
import { api, chatOf, inOrder, KEPT, nameOf, PERSONA, state } from "/state.js";
import { sendText } from "/write.js";

/** How far from the end, in pixels, still counts as reading the newest message. */
const NEAR_END = 120;

/** Whether the newest message is in view, so that the chat stays at its end. */
let following = true;

export function followChat() {
  following = true;
}

export function showChat() {
  const open = new Set([...document.querySelectorAll(".bubble:has(.trail[open])")].map(({ dataset }) => dataset.id));
  const place = $("chat").scrollTop;
  hush();
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
export function putBubble(bubble) {
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

const TICKS = { pending: "not sent yet", sent: "sent", delivered: "delivered", read: "read", played: "played" };

function fillBubble(node, bubble) {
  node.dataset.ticks = bubble.ticks;
  if (bubble.sound) fillSound(node, bubble);
  const text = node.querySelector(".text");
  text.hidden = Boolean(bubble.sound);
  if (!bubble.sound && text.dataset.source !== bubble.text) {
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

/** The player of a bubble stays the same one, so that what is playing plays on. */
function fillSound(node, bubble) {
  const shown = node.querySelector(".sound");
  if (shown) {
    refreshSound(shown, bubble.sound);
    return;
  }
  const isTheirs = bubble.from === "persona";
  // Only the first time counts, and the sandbox knows which one that is.
  const tell = () => api("/api/played", { id: bubble.id }).catch(() => {});
  const whose = isTheirs ? `${PERSONA}’s` : `${nameOf(bubble.phone)}’s`;
  const player = soundPlayer(bubble.sound, whose, isTheirs ? tell : undefined);
  node.querySelector(".text").before(player);
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
      sendText(text);
      $("composer").focus();
    });
    return button;
  }));
}
