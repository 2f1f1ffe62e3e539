// The sign-in: one dialog for all requests that wait for a key.

import { key } from "./api.js";

const VALID_KEY = /^[\x21-\x7e]+$/; // what an HTTP header can carry
const dialog = document.getElementById("sign-in");
const field = document.getElementById("api-key");
const error = document.getElementById("sign-in-error");
let pending = null;

/** Shows the sign-in; the promise resolves when a key was entered. */
export function askForKey(wasRefused) {
  if (pending) return pending.promise;
  error.textContent = wasRefused ? "The server refused this key: it is wrong or was revoked." : "";
  pending = {};
  pending.promise = new Promise((resolve) => {
    pending.resolve = resolve;
  });
  dialog.showModal();
  return pending.promise;
}

dialog.querySelector("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = field.value.trim();
  if (!VALID_KEY.test(text)) {
    error.textContent = "A key has only Latin letters, digits and signs such as _: copy the key again.";
    return;
  }
  key.set(text);
  field.value = "";
  showSignOut();
  const { resolve } = pending;
  pending = null;
  dialog.close();
  resolve();
});

// Without a key there is nothing to show: when the dialog is closed, for example by pressing Esc twice, it opens again.
dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.addEventListener("close", () => pending && dialog.showModal());

export function showSignOut() {
  document.getElementById("sign-out").hidden = !key.get();
}

document.getElementById("sign-out").addEventListener("click", () => {
  key.forget();
  location.reload();
});
