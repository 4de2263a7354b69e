"""Chromium for tests of pages, by the WebDriver protocol of chromedriver."""

import base64
import contextlib
import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
KEYS = {
    "ArrowRight": "\ue014",
    "ArrowDown": "\ue015",
    "Tab": "\ue004",
    "ArrowLeft": "\ue012",
    "Home": "\ue011",
    "End": "\ue010",
    " ": " ",
}
TASKS = "-*,disabled-by-default-devtools.timeline"  # the category of traces that has the tasks of all threads
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # of the WebDriver standard


class Browser:
    """Chromium, by the WebDriver protocol of chromedriver; with ``tracing``, it records what its threads do."""

    def __init__(self, port, folder, tracing=False):
        self.address = f"http://127.0.0.1:{port}/session"
        options = {"args": [*FLAGS, f"--user-data-dir={folder}"], "binary": shutil.which("chromium")}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options}
        if tracing:
            options["perfLoggingPrefs"] = {"traceCategories": TASKS, "enableNetwork": False, "enablePage": False}
            wanted["goog:loggingPrefs"] = {"browser": "ALL", "performance": "ALL"}
        capabilities = {"alwaysMatch": wanted}
        self.address += "/" + self._ask("", {"capabilities": capabilities})["sessionId"]

    def _ask(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=60) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from error

    def open(self, path):
        self._ask("/url", {"url": path.as_uri()})

    def run(self, script):
        """Return the value of a JavaScript expression."""
        return self._ask("/execute/sync", {"script": f"return {script}", "args": []})

    def wait(self, script, *arguments):
        """Return what an asynchronous JavaScript function body returns; its arguments are ``given``."""
        body = "const done = arguments[arguments.length - 1], given = [...arguments].slice(0, -1);"
        ends = "(v) => done([v ?? null]), (e) => done(`failed: ${e} ${e.stack}`)"
        body += f"(async () => {{ {script} }})().then({ends});"
        answer = self._ask("/execute/async", {"script": body, "args": list(arguments)})
        assert isinstance(answer, list), answer
        return answer[0]

    def errors(self):
        """Return what the console has shown of errors since the last call."""
        return [line["message"] for line in self._ask("/se/log", {"type": "browser"}) if line["level"] == "SEVERE"]

    def tasks(self):
        """Return (duration, time on the processor) in ms of the main threads' tasks since the last call, by tracing."""
        events = []
        while not events:  # chromedriver answers every second request with nothing, and then sends all
            log = [json.loads(line["message"])["message"] for line in self._ask("/se/log", {"type": "performance"})]
            events = [message["params"] for message in log if message["method"] == "Tracing.dataCollected"]
        mains = [e for e in events if e["name"] == "thread_name" and e["args"]["name"] == "CrRendererMain"]
        threads = {(event["pid"], event["tid"]) for event in mains}
        tasks = [event for event in events if event["name"] == "RunTask" and (event["pid"], event["tid"]) in threads]
        return [(event["dur"] / 1000, event["tdur"] / 1000) for event in tasks if "tdur" in event]

    def point(self, x, y, wheel=None):
        """Move the mouse to a point of the screen, or turn its wheel there by (right, down) pixels."""
        right, down = wheel or (0, 0)
        turned = {"type": "mouseWheel", "deltaX": right, "deltaY": down} if wheel else {"type": "mouseMoved"}
        self.developer("Input.dispatchMouseEvent", x=x, y=y, **turned)

    def developer(self, command, **parameters):
        """Send a command of the Chrome DevTools protocol, and return its answer."""
        return self._ask("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def screen(self, width, height, dark=False, phone=False):
        """Give the page the size of a screen and a preferred scheme of colours."""
        size = {"width": width, "height": height, "deviceScaleFactor": 2 if phone else 1, "mobile": phone}
        self.developer("Emulation.setDeviceMetricsOverride", **size)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.developer("Emulation.setEmulatedMedia", features=features)

    def violations(self, axe):
        """Return what axe-core, of which this is the source, finds wrong with the page."""
        return self.wait(
            "if (!window.axe) {"
            "  const script = document.createElement('script');"
            "  script.textContent = given[0];"
            "  document.head.append(script);"
            "}"
            "const { violations } = await axe.run(document, { resultTypes: ['violations'] });"
            "return violations.map(({ id, nodes }) => `${id}: ${nodes[0].html.slice(0, 120)}`);",
            axe,
        )

    def photograph(self, path):
        """Write what the screen shows as a PNG file."""
        path.write_bytes(base64.b64decode(self.developer("Page.captureScreenshot", format="png")["data"]))

    def press(self, name):
        keys = [{"type": kind, "value": KEYS[name]} for kind in ("keyDown", "keyUp")]
        self._ask("/actions", {"actions": [{"type": "key", "id": "keys", "actions": keys}]})

    def click(self, selector):
        """Press the mouse in the middle of an element, even if something covers it."""
        found = self._ask("/element", {"using": "css selector", "value": selector})
        moves = [{"type": "pointerMove", "duration": 0, "x": 0, "y": 0, "origin": {ELEMENT: found[ELEMENT]}}]
        moves += [{"type": kind, "button": 0} for kind in ("pointerDown", "pointerUp")]
        self._ask("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": moves}]})

    def close(self):
        self._ask("", method="DELETE")


@contextlib.contextmanager
def started(profile, tracing=False):
    """Start Chromium with a new profile in a folder, and end it afterwards."""
    driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
    try:
        port = next(m[1] for line in driver.stdout if (m := re.search(r"started successfully on port (\d+)", line)))
        browser = Browser(port, profile, tracing)
        yield browser
        browser.close()
    finally:
        driver.terminate()
        driver.wait()
        driver.stdout.close()
