// Runs before the first paint, so that nothing flashes in the wrong colours: the person's choice, or else the system's.
(() => {
  const KEY = "ktrdr.theme";
  const dark = matchMedia("(prefers-color-scheme: dark)");

  // Storage may be forbidden; a choice holds for this page alone then.
  const storedTheme = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };

  /** @param {string} theme */
  const storeTheme = (theme) => {
    try {
      localStorage.setItem(KEY, theme);
    } catch {}
  };

  /** @param {string} theme */
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };

  const followSystem = () => show(dark.matches ? "dark" : "light");

  const chosen = storedTheme();
  if (chosen === "light" || chosen === "dark") show(chosen);
  else {
    followSystem();
    dark.addEventListener("change", followSystem);
  }
  document.addEventListener("choose-theme", ({ detail: theme }) => {
    dark.removeEventListener("change", followSystem);
    show(theme);
    storeTheme(theme);
  });
})();
