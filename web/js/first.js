// Runs before the modules, as a classic script: sets a chosen theme before the first paint, and when a part of the page
// did not come through (a network that changed while it loaded), says so and loads it again instead of staying blank.
(() => {
  const TRIES = "egoat.tries";
  const MOST = 5;

  try {
    const theme = localStorage.getItem("egoat.theme");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // Without storage the system's choice stands.
  }

  /** How often this tab has tried already; counts as too often where that cannot be remembered. */
  const tried = () => {
    try {
      const count = Number(sessionStorage.getItem(TRIES)) + 1;
      sessionStorage.setItem(TRIES, String(count));
      return count;
    } catch {
      return MOST + 1;
    }
  };

  /** @param {string} text */
  const tell = (text) => {
    const line = document.createElement("p");
    line.className = "no-script";
    line.setAttribute("role", "alert");
    line.textContent = text;
    document.getElementById("app")?.replaceChildren(line);
  };

  let told = false;
  const again = () => {
    if (told) return;
    told = true;
    const count = tried();
    const stuck = count > MOST;
    tell(stuck ? "E-Goat did not load completely. Check the network and reload the page." : "E-Goat did not load completely. Trying again…");
    if (!stuck) setTimeout(() => location.reload(), 500 * 2 ** (count - 1));
    addEventListener("online", () => location.reload());
  };

  addEventListener("error", ({ target }) => {
    const isPart = target instanceof HTMLScriptElement || (target instanceof HTMLLinkElement && target.rel === "stylesheet");
    if (isPart) addEventListener("load", again, { once: true });
    if (isPart && document.readyState === "complete") again();
  }, true);

  addEventListener("egoat-started", () => {
    try {
      sessionStorage.removeItem(TRIES);
    } catch {
      // Nothing was remembered.
    }
  });
})();
