// Runs before the first paint, so that nothing flashes in the wrong colours: the person's choice, or else the system's.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const decide = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("ktrdr.theme");
    } catch {
      // Storage may be forbidden; the system's own choice holds then.
    }
    document.documentElement.dataset.theme = chosen ?? (dark.matches ? "dark" : "light");
    document.dispatchEvent(new Event("theme"));
  };
  dark.addEventListener("change", decide);
  decide();
})();
