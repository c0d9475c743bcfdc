"""Chromium without a window, told what to do through its driver."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from support import third_party
from support.daemon import PATIENCE

SCRIPT = (Path(__file__).parent / "page.js").read_text(encoding="utf-8")

FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root it does not start with one
    "--disable-gpu",
    "--disable-dev-shm-usage",  # it is small in containers
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # No request leaves the machine, not even the browser's requests to its vendor.
    "--ignore-certificate-errors",  # the browser does not trust the authority of the tests
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
    # They would keep a page of no host from us, and we want to see that the server refuses it.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
    "--lang=en-US",
    "--window-size=1280,1000",
)


class Browser:
    """
    One running browser with one page.

    :ivar driver: selenium's, which has no annotations where it is not installed.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str) -> None:
        """Show a page; what the one before has complained of is forgotten."""
        self.driver.get(url)
        self.complaints()

    def complaints(self) -> list[str]:
        """The messages of the page's console since the last call."""
        return [str(entry["message"]) for entry in self.driver.get_log("browser")]

    def converse(self, url: str, **plan: Any) -> dict[str, Any]:
        """Have the page run `page.js`; what it has seen."""
        seen: dict[str, Any] = self.driver.execute_async_script(SCRIPT, {"url": url, **plan})
        return seen

    def element(self, name: str) -> Any:
        return self.driver.find_element("id", name)

    def text(self, name: str) -> str:
        """The visible text of an element."""
        return str(self.element(name).text)

    def awaits(self, name: str, text: str) -> None:
        """Wait until an element has this text."""
        wait = import_module("selenium.webdriver.support.ui").WebDriverWait(self.driver, PATIENCE)
        wait.until(lambda _: text in self.text(name), f"{name} never said {text!r}")

    def hold_timers(self) -> None:
        """Have the page keep its timers, which :meth:`fire` calls, instead of starting them."""
        self.driver.execute_script(
            """
            window.delays = [];
            window.setTimeout = (call, delay) => { window.fire = call; delays.push(delay); };
            """
        )

    def fire(self, times: int) -> list[float]:
        """
        Call the newest timer that the page keeps, which sets the next one, some times.

        :return: the delays of all timers, in milliseconds.
        """
        for _ in range(times):
            before = len(self.driver.execute_script("return window.delays"))
            self.driver.execute_script("window.fire()")
            self.until(f"window.delays.length > {before}", "no further timer")
        delays: list[float] = self.driver.execute_script("return window.delays")
        return delays

    def photograph(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(os.fspath(file))

    def screen(self, width: int, height: int, scheme: str = "light") -> None:
        """
        Show pages as on another screen.

        :param scheme: ``light`` or ``dark``, as the page's style sheet is asked.
        """
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def own_screen(self) -> None:
        """Show pages as the browser does by itself."""
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": []})
        self.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})

    def until(self, condition: str, why: str) -> Any:
        """
        Wait until an expression of the page's is true.

        :param why: what has not happened, for the test's failure.
        :return: the value of the expression.
        """
        wait = import_module("selenium.webdriver.support.ui").WebDriverWait(self.driver, PATIENCE)
        return wait.until(lambda _: self.driver.execute_script(f"return {condition}"), why)


def grow(delays: Sequence[float]) -> bool:
    """Whether delays are random, double from a second on, and end at 30 seconds."""
    ranges = [1000 * min(2**number, 30) for number in range(len(delays))]
    inside = (most / 2 <= delay <= most for delay, most in zip(delays, ranges, strict=True))
    return all(inside) and len(set(delays)) == len(delays)


@contextmanager
def started(
    profile: Path,
    home: Path | None = None,
    preferences: dict[str, Any] | None = None,
    flags: Sequence[str] = (),
) -> Iterator[Browser]:
    """
    A browser with a fresh profile, for as long as the block lasts.

    :param home: the home directory, with client certificates in ``.pki/nssdb``.
    :param preferences: of the profile.
    :param flags: further options of the browser, which replace those of the same name.
    """
    chromium, chromedriver = third_party.chromium(), third_party.chromedriver()
    if find_spec("selenium") is None:
        third_party.missing("selenium", "tests/browser/install (PyPI: selenium)")
    webdriver = import_module("selenium.webdriver")
    options = webdriver.ChromeOptions()
    # Both paths are said, so that selenium has nothing to look for in the network.
    options.binary_location = os.fspath(chromium)
    for flag in (*FLAGS, f"--user-data-dir={profile}", *flags):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if preferences is not None:
        options.add_experimental_option("prefs", preferences)
    service = webdriver.ChromeService(
        executable_path=os.fspath(chromedriver),
        log_output=os.fspath(profile / "driver.log"),
        env=None if home is None else {**os.environ, "HOME": os.fspath(home)},
    )
    with pytest.MonkeyPatch.context() as patch:
        # The driver listens on this machine, which a proxy of the environment does not reach.
        patch.setenv("NO_PROXY", "localhost,127.0.0.1")
        patch.setenv("no_proxy", "localhost,127.0.0.1")
        patch.setenv("SE_OFFLINE", "true")
        driver = webdriver.Chrome(options=options, service=service)
        try:
            driver.set_page_load_timeout(PATIENCE)
            driver.set_script_timeout(PATIENCE)
            yield Browser(driver)
        finally:
            driver.quit()
