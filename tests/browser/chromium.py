"""The browser the tests drive: the system's Chromium, or the one that Playwright brings.

`python -m tests.browser.chromium` only starts it.
"""

import os
import shutil

from playwright.sync_api import Browser, Playwright, sync_playwright

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")


def launch(playwright: Playwright) -> Browser:
    installed = next(filter(None, map(shutil.which, NAMES)), None)
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    arguments = ["--process-per-site", *(["--no-sandbox"] if as_root else [])]  # a process takes longer than a page
    return playwright.chromium.launch(executable_path=installed, args=arguments)


if __name__ == "__main__":
    with sync_playwright() as playwright:
        launch(playwright).close()
