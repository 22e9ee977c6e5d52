// Runs before the first paint, so that nothing flashes in the wrong colours.
(() => {
  try {
    const chosen = localStorage.getItem("ktrdr.theme");
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // Storage may be forbidden; the system's own choice holds then.
  }
})();
