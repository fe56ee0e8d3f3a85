// Small things that make pages nicer. Nothing here is needed: without script every form still posts and every text can
// still be selected.
(() => {
  "use strict";

  const root = document.documentElement;
  root.classList.add("js"); // shows the copy buttons

  // A polite voice for what only the eye would notice.
  const voice = document.createElement("div");
  voice.className = "vh";
  voice.setAttribute("role", "status");
  document.body.append(voice);

  // Copy buttons. Delegated, so that swapped-in ones work too.
  const copyOld = (text) => {
    // Pages served over plain http from another machine have no clipboard API.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "vh";
    document.body.append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    return done ? Promise.resolve() : Promise.reject(new Error("copy refused"));
  };

  const copy = (text) =>
    navigator.clipboard ? navigator.clipboard.writeText(text).catch(() => copyOld(text)) : copyOld(text);

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    copy(button.dataset.copy).then(
      () => {
        voice.textContent = "Copied";
        button.classList.add("is-copied");
        setTimeout(() => {
          button.classList.remove("is-copied");
          voice.textContent = "";
        }, 1600);
      },
      () => {
        voice.textContent = "Could not copy. Select the text instead.";
      },
    );
  });

  // Counters beside fields with a limit.
  const counters = new Map();
  for (const counter of document.querySelectorAll("[data-counter]")) {
    counters.set(counter.dataset.counter, counter);
  }
  document.addEventListener("input", (event) => {
    const counter = counters.get(event.target.id);
    if (!counter) return;
    const length = [...event.target.value].length;
    const max = Number(counter.dataset.max);
    counter.textContent = `${length} of ${max}`;
    counter.classList.toggle("is-over", length > max);
  });

  // Focus the first field in error, or the field the page asks for where no keyboard would pop up over the page.
  const wrong = document.querySelector("[aria-invalid='true']");
  const wanted = document.querySelector("[data-autofocus]");
  if (wrong) {
    wrong.focus();
  } else if (wanted && !location.hash && matchMedia("(hover: hover) and (pointer: fine)").matches) {
    wanted.focus({ preventScroll: true });
  }

  // The menu on a phone is a link target; Escape leaves it.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || location.hash !== "#nav") return;
    location.hash = "#main";
    document.querySelector(".topbar__menu")?.focus();
  });

  // One press, one post: a second one while the first is under way does nothing.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    setTimeout(() => delete form.dataset.sent, 4000);
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  // Live preview (htmx posts the form): start at the permission being edited, and say when answers stop.
  const screen = document.querySelector(".phone__screen");
  const edited = screen?.querySelector(".is-edited");
  if (edited) {
    const lead = screen.clientHeight / 4;
    screen.scrollTop += edited.getBoundingClientRect().top - screen.getBoundingClientRect().top - lead;
  }
  const off = document.querySelector("[data-preview-off]");
  if (off) {
    const say = (is) => () => {
      off.hidden = !is;
    };
    document.addEventListener("htmx:afterSwap", say(false));
    document.addEventListener("htmx:responseError", say(true));
    document.addEventListener("htmx:sendError", say(true));
    // A redirect to the sign-in page must not be drawn as a preview.
    document.addEventListener("htmx:beforeSwap", (event) => {
      if (event.detail.xhr.responseText.includes("<html")) {
        event.detail.shouldSwap = false;
        say(true)();
      }
    });
  }
})();
