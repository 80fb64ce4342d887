"""Headless Chromium, used by keyboard alone."""

import json
import shutil
import tempfile

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.keys import Keys

from sim_process import DEADLINE_S, LOGS, Failed, wait_for

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage --no-proxy-server"
).split()


class Browser:
    """A fresh Chromium with a profile of its own."""

    def __init__(self, width=1280, height=800):
        programs = {name: shutil.which(name) for name in ("chromium", "chromedriver")}
        for name, path in programs.items():
            if not path:
                raise Failed(f"{name} is not installed; tests/all.sh installs it")
        self.profile = tempfile.TemporaryDirectory(prefix="callboard-chromium-", ignore_cleanup_errors=True)
        options = webdriver.ChromeOptions()
        options.binary_location = programs["chromium"]
        for flag in [*FLAGS, f"--user-data-dir={self.profile.name}", f"--window-size={width},{height}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(programs["chromedriver"]))
        self.driver.set_page_load_timeout(DEADLINE_S)
        self.driver.set_script_timeout(DEADLINE_S)
        self.look(width, height)

    def close(self):
        self.driver.quit()
        self.profile.cleanup()

    def look(self, width=1280, height=800, scheme="light"):
        """The size of the view and the colour scheme that the user prefers."""
        self.driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        )
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})

    def open(self, url):
        """Opens the page and waits until it is live and has shown its first channel."""
        self.driver.get(url)
        self.until("the page is live", lambda: self.text("#link") == "Live" and self.text("#channel-name").startswith("#"))
        self.until("the channel is read", lambda: "Reading" not in self.text("#scroll"))
        # A reload would lose this mark.
        self.driver.execute_script("window.neverReloaded = true")

    def never_reloaded(self):
        return self.driver.execute_script("return window.neverReloaded === true")

    # ---- the keyboard

    def keys(self, *keys):
        """Types into whatever has the focus."""
        for key in keys:
            ActionChains(self.driver).send_keys(key).perform()

    def chord(self, *keys):
        """Holds all but the last key, presses the last, and lets go."""
        chain = ActionChains(self.driver)
        for key in keys[:-1]:
            chain.key_down(key)
        chain.send_keys(keys[-1])
        for key in reversed(keys[:-1]):
            chain.key_up(key)
        chain.perform()

    def focused(self, selector):
        """Whether the element with the focus is, or is inside, what the selector names."""
        return self.driver.execute_script("return Boolean(document.activeElement?.closest(arguments[0]))", selector)

    def write(self, text, selector="#write"):
        """Goes to the channel's message box by its shortcut and types."""
        if not self.focused(selector):
            self.leave_text()
            self.keys("n")
        self.until(f"{selector} has the focus", lambda: self.focused(selector))
        self.keys(text)

    def leave_text(self):
        """Leaves a text box by Esc, so that single letters are shortcuts again."""
        if self.focused("textarea, select"):
            self.keys(Keys.ESCAPE)
            self.until("the text box is left", lambda: not self.focused("textarea") or self.focused("#write"))
            if self.focused("textarea"):
                self.keys(Keys.ESCAPE)
        self.until("no text box has the focus", lambda: not self.focused("textarea, select"))

    # ---- what is shown

    def text(self, selector):
        """The text of the first such element; empty while there is none or it is hidden."""
        return (self.texts(selector) or [""])[0]

    def texts(self, selector):
        """The texts of all such elements that are not hidden."""
        return self.driver.execute_script(
            "return [...document.querySelectorAll(arguments[0])].filter((one) => one.checkVisibility()).map((one) => one.innerText.trim())",
            selector,
        )

    def count(self, selector):
        return len(self.driver.find_elements(By.CSS_SELECTOR, selector))

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, what, condition, deadline_s=DEADLINE_S):
        def asked():
            try:
                return condition()
            except StaleElementReferenceException:
                return False

        return wait_for(what, asked, deadline_s, self.state)

    def until_row(self, text, within="#scroll"):
        """Waits for a row of the channel (or of `#thread-scroll`) that holds the text."""
        return self.until(f"“{text}” in {within}", lambda: any(text in row for row in self.texts(f"{within} article")))

    def state(self):
        return "--- the page:\n" + json.dumps(
            {
                "title": self.driver.title,
                "focus": self.script("return document.activeElement?.outerHTML.slice(0, 160)"),
                "rows": self.texts("#scroll article")[-8:],
                "thread": self.texts("#thread-scroll article")[-8:],
                "faults": self.texts(".fault"),
                "console": [one["message"] for one in self.driver.get_log("browser")][-5:],
            },
            indent=1,
            ensure_ascii=False,
        )

    def script_errors(self):
        """What went wrong in the page's own scripts since this was last asked; a refused connection is not that."""
        return [one["message"] for one in self.driver.get_log("browser") if one["source"] in ("javascript", "security", "deprecation")
                and one["level"] == "SEVERE" and "WebSocket connection" not in one["message"]]

    def shot(self, name):
        """Stores a screenshot under the target directory."""
        folder = LOGS / "screenshots"
        folder.mkdir(parents=True, exist_ok=True)
        self.driver.save_screenshot(str(folder / f"{name}.png"))
