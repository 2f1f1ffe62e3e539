// The sign-in: one dialog for all requests that wait for a key.

import { key } from "./api.js";

const CAN_BE_SENT = /^[\x21-\x7e]+$/;
const dialog = document.getElementById("sign-in");
const field = document.getElementById("api-key");
const error = document.getElementById("sign-in-error");
let waiting = null;

/** Shows the sign-in and resolves when a key was given. */
export function askForKey(wasRefused) {
  if (waiting) return waiting.given;
  error.textContent = wasRefused ? "The server does not take this key." : "";
  waiting = {};
  waiting.given = new Promise((resolve) => {
    waiting.resolve = resolve;
  });
  dialog.showModal();
  return waiting.given;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = field.value.trim();
  if (!CAN_BE_SENT.test(given)) {
    error.textContent = "A key has Latin letters, digits and signs alone: copy it anew.";
    return;
  }
  key.set(given);
  field.value = "";
  showSignOut();
  const { resolve } = waiting;
  waiting = null;
  dialog.close();
  resolve();
});

// Nothing can be seen without a key: what closes the dialog, such as Esc pressed twice, opens it again.
dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.addEventListener("close", () => waiting && dialog.showModal());

export function showSignOut() {
  document.getElementById("sign-out").hidden = !key.get();
}

document.getElementById("sign-out").addEventListener("click", () => {
  key.forget();
  location.reload();
});
