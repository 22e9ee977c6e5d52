// Runs before the first paint, so that nothing flashes in the wrong colours: the person's choice, or else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const keptChoice = () => {
    try {
      return localStorage.getItem("ktrdr.theme");
    } catch {
      return null; // Storage may be forbidden; a choice holds for this page alone then.
    }
  };
  const show = (theme) => {
    root.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };
  const followSystem = () => show(dark.matches ? "dark" : "light");
  const chosen = keptChoice();
  if (chosen === "light" || chosen === "dark") show(chosen);
  else {
    followSystem();
    dark.addEventListener("change", followSystem);
  }
  document.addEventListener("choose-theme", ({ detail }) => {
    dark.removeEventListener("change", followSystem);
    show(detail);
    try {
      localStorage.setItem("ktrdr.theme", detail);
    } catch {
      // As above.
    }
  });
})();
