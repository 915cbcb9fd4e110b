// What the page knows, and how it asks the sandbox.

export const PERSONA = "Joe";
/** Bubbles kept per phone: more than anybody scrolls back, few enough for the page to stay quick. */
export const KEPT = 500;

export const state = {
  phones: [],
  /** phone -> Map of id -> bubble */
  chats: new Map(),
  typing: new Map(),
  unread: new Map(),
  drafts: new Map(),
  /** name of a fault -> whether it is switched on */
  switches: new Map(),
  current: "",
  server: "starting",
  wasUp: false,
  connected: false,
};

export function chatOf(phone) {
  if (!state.chats.has(phone)) state.chats.set(phone, new Map());
  return state.chats.get(phone);
}

export const nameOf = (phone) => state.phones.find((known) => known.phone === phone)?.name ?? phone;

export const inOrder = (phone) => [...chatOf(phone).values()].sort((one, other) => one.at - other.at);

/** Asks the sandbox: a GET, or a POST if there is a body, a form or JSON. Its error says what to tell the person. */
export async function api(path, body) {
  const isForm = body instanceof FormData;
  const headers = isForm ? {} : { "content-type": "application/json" };
  const post = { method: "POST", headers, body: isForm ? body : JSON.stringify(body) };
  const answer = await fetch(path, body && post).catch(() => {
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
