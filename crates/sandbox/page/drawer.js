// The drawer: what can go wrong. Two things happen once; the rest are switches that stay until they are switched back.

import { $, setText } from "/dom.js";
import { api, inOrder, nameOf, state } from "/state.js";

export const say = (text) => setText($("drawer-said"), text);

const switches = [...document.querySelectorAll("#drawer [data-switch]")];

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

/** Lets a button do `act`, and says at the end of the drawer how that went. */
function onPress(button, act) {
  button.addEventListener("click", async () => {
    try {
      say(await act());
    } catch (error) {
      say(error.message);
    }
  });
}

onPress($("drawer-twice"), async () => {
  const phone = state.current;
  const wrote = inOrder(phone).some(({ from }) => from === "person");
  if (!wrote) return `${nameOf(phone)} has not written anything yet. Send a message first.`;
  await api("/api/drawer/twice", { phone });
  return `${nameOf(phone)}’s last message is on its way again. Open its trail.`;
});
onPress($("drawer-kill"), async () => {
  await api("/api/drawer/kill", {});
  return "Killed. Watch the status in the header.";
});
for (const button of switches) {
  const { switch: name, off } = button.dataset;
  onPress(button, async () => {
    const on = !state.switches.get(name);
    await api("/api/drawer/switch", { name, on });
    takeSwitch(name, on);
    return on ? `${button.textContent}: on, until you press again.` : off;
  });
}

/** A switch was switched, here or on another page. */
export function takeSwitch(name, on) {
  state.switches.set(name, on);
  const shown = switches.filter(({ dataset }) => state.switches.get(dataset.switch));
  for (const button of switches) button.setAttribute("aria-checked", String(shown.includes(button)));
  $("faults").hidden = shown.length === 0;
  setText($("faults"), shown.length > 1 ? `${shown.length} faults on` : shown[0]?.textContent ?? "");
}
