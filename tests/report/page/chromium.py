"""A headless Chromium driven through a pipe by its own protocol: nothing to install but the browser."""

import base64
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--hide-scrollbars", "--no-first-run",
    "--disable-extensions", "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip
# The browser reads commands from descriptor 3 and answers on 4.
_START = (
    "import os, sys; os.dup2(int(sys.argv[1]), 3); os.dup2(int(sys.argv[2]), 4); os.execvp(sys.argv[3], sys.argv[3:])"
)


class Chromium:
    """A browser with one page.

    Attributes:
        requests: addresses that the page asked for, since it was opened.
        problems: what it wrote to the console as a warning or an error, since then.
    """

    def __init__(self, program: str) -> None:
        self.home = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        theirs, self._out = _pipe()
        self._in, back = _pipe()
        start = [sys.executable, "-c", _START, str(theirs), str(back)]
        self.process = subprocess.Popen(
            [*start, program, *FLAGS, f"--user-data-dir={self.home.name}", "about:blank"],
            pass_fds=(theirs, back),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(back)
        self._rest, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.problems: list[str] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def open(self, page: Path, *, width: int = 1200, dark: bool = False, script: bool = True) -> None:
        """Opens a file as a double click would."""
        self.send("Emulation.setScriptExecutionDisabled", value=not script)
        self.send(
            "Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.requests, self.problems = [], []
        self.send("Page.navigate", url=page.as_uri())
        while self.receive().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """What an expression gives on the page; the protocol evaluates it where scripts are off too."""
        found = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(found["exceptionDetails"]["exception"]["description"])
        return found["result"].get("value")

    def move(self, x: float, y: float) -> None:
        """Moves the mouse to a place on the screen."""
        self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self) -> bytes:
        """The whole page as a PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        return base64.b64decode(self.send("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"])

    def close(self) -> None:
        """Ends the browser."""
        self.process.kill()
        self.process.wait()
        os.close(self._in)
        os.close(self._out)
        self.home.cleanup()

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Gives a command and waits for its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while (answer := self.receive()).get("id") != self._number:
            pass
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def receive(self) -> dict[str, Any]:
        """The next message; what it says of requests and of the console is kept."""
        while b"\0" not in self._rest:
            part = os.read(self._in, 1 << 20)
            if not part:
                raise AssertionError("The browser has gone.")
            self._rest += part
        first, self._rest = self._rest.split(b"\0", 1)
        message = json.loads(first)
        values = message.get("params", {})
        if message.get("method") == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])
        elif message.get("method") == "Log.entryAdded":
            self.problems.append(values["entry"]["text"])
        elif message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(values["exceptionDetails"]["exception"]["description"])
        elif message.get("method") == "Runtime.consoleAPICalled":
            self.problems.append(str(values["args"]))
        return message


def _pipe() -> tuple[int, int]:
    """A pipe's ends, out of the way of descriptors 3 and 4."""
    ends = os.pipe()
    high = tuple(fcntl.fcntl(end, fcntl.F_DUPFD, 10) for end in ends)
    for end in ends:
        os.close(end)
    return high[0], high[1]


@contextmanager
def started() -> Iterator[Chromium]:
    """The browser; a test is skipped where it is not installed."""
    program = next((path for name in NAMES if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("Chromium is not installed: no look at the page here")
    found = Chromium(program)
    try:
        yield found
    finally:
        found.close()
