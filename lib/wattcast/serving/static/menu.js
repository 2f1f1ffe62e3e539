// The menu of pages, which a phone folds away, and the skip link.

const menu = document.querySelector(".menu");
const nav = document.getElementById("nav");

export function closeMenu() {
  nav.classList.remove("open");
  menu.setAttribute("aria-expanded", "false");
}

/** Marks the link of the current page. */
export function markCurrentLink(name) {
  for (const link of document.querySelectorAll("nav a")) {
    const isCurrent =
      link.getAttribute("href") === `#/${name}` || (name === "buildings" && link.dataset.page === "overview");
    isCurrent ? link.setAttribute("aria-current", "page") : link.removeAttribute("aria-current");
  }
}

export function startMenu() {
  menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(nav.classList.toggle("open"))));
  nav.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    closeMenu();
    menu.focus();
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main").focus();
  });
}
