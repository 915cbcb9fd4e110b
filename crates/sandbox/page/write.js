// Writing a text.

import { $, setText } from "/dom.js";
import { api, state } from "/state.js";

export async function sendText(text) {
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
  if (await sendText(text)) return;
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

export function fitComposer() {
  const composer = $("composer");
  composer.style.height = "auto";
  composer.style.height = `${composer.scrollHeight + composer.offsetHeight - composer.clientHeight}px`;
  const left = composer.maxLength - composer.value.length;
  $("left").hidden = left > 300;
  setText($("left"), `${left}`);
}

export function complain(text) {
  $("trouble").hidden = !text;
  setText($("trouble"), text);
}
