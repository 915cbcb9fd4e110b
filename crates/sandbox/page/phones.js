// The list of phones: who is chosen, who has something unread, where somebody is typing.

import { $, minutes, setText, setTime } from "/dom.js";
import { followChat, showChat } from "/chat.js";
import { say } from "/drawer.js";
import { showNote } from "/note.js";
import { api, inOrder, PERSONA, state } from "/state.js";
import { complain, fitComposer } from "/write.js";

export function showPhones() {
  const list = $("phones");
  for (const [place, phone] of state.phones.entries()) {
    const tab = [...list.children].find((known) => known.dataset.phone === phone.phone) ?? newTab(list, phone, place);
    const selected = phone.phone === state.current;
    tab.setAttribute("aria-selected", String(selected));
    tab.tabIndex = selected ? 0 : -1;
    const last = inOrder(phone.phone).at(-1);
    const by = last?.from === "persona" ? `${PERSONA}: ` : "";
    const preview = last ? by + shortly(last) : `+${phone.phone}`;
    setText(tab.querySelector(".preview"), preview);
    setTime(tab.querySelector("time"), last?.at);
    const unread = selected ? 0 : state.unread.get(phone.phone) ?? 0;
    tab.querySelector(".unread").hidden = unread === 0;
    setText(tab.querySelector(".unread b"), unread > 99 ? "99+" : `${unread}`);
  }
  showTyping();
}

/** A message in one short line. */
export function shortly({ text, sound }) {
  if (!sound) return text.slice(0, 120).replace(/[*_~`]/g, "");
  const length = sound.length_ms === null ? "" : `, ${minutes(sound.length_ms / 1000)}`;
  return `${sound.is_voice ? "voice note" : "audio file"}${length}`;
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

export function choose(phone) {
  if (phone === state.current) return;
  state.drafts.set(state.current, $("composer").value);
  state.current = phone;
  followChat();
  state.unread.delete(phone);
  $("composer").value = state.drafts.get(phone) ?? "";
  complain("");
  say("");
  fitComposer();
  showNote();
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

export function takePhone(phone) {
  if (state.phones.some((known) => known.phone === phone.phone)) return;
  state.phones.push(phone);
  showPhones();
}

export function showTyping() {
  // Who is not connected does not know.
  const types = (phone) => state.connected && Boolean(state.typing.get(phone));
  const typing = types(state.current);
  $("typing").hidden = !typing;
  $("holder").hidden = typing;
  for (const tab of $("phones").children) {
    tab.classList.toggle("is-typing", types(tab.dataset.phone));
  }
}
