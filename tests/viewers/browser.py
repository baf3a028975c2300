"""A headless Chromium, spoken to over two pipes (the DevTools protocol, one JSON text and a zero byte a message).

    with Browser("chromium", directory) as page:
        page.open("file:///...")
        page.evaluate("1 + 1")
        page.click("#help")
    page.complaints, page.requests       what it said to its console, and which addresses it asked for
"""
import base64
import json
import os
import select
import shutil
import subprocess
import time

PATIENCE = 120          # seconds, for a machine that has a lot to do


class Browser:
    def __init__(self, program, profile, width=1280, height=900):
        self.program, self.profile, self.width, self.height = program, profile, width, height
        self.complaints, self.requests, self.loaded = [], [], False
        self.next_id, self.buffer, self.session, self.answers = 0, b"", None, {}

    def __enter__(self):
        to_browser, self.to = os.pipe()
        self.of, from_browser = os.pipe()
        # It reads descriptor 3 and writes 4. A process may not be able to make the namespaces of its sandbox; the page is ours.
        command = 'exec 3<&%d 4>&%d; exec "$@"' % (to_browser, from_browser)
        flags = ["--headless=new", "--remote-debugging-pipe", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                 "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
                 "--hide-scrollbars", "--force-color-profile=srgb", "--user-data-dir=" + self.profile]
        self.process = subprocess.Popen(["sh", "-c", command, "sh", self.program, *flags], stdin=subprocess.DEVNULL,
                                        pass_fds=[to_browser, from_browser], stdout=subprocess.DEVNULL,
                                        stderr=open(os.path.join(self.profile, "chromium.log"), "w"))
        os.close(to_browser)
        os.close(from_browser)
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(domain + ".enable")
        self.resize(self.width, self.height)
        return self

    def __exit__(self, *exception):
        self.session = None
        try:
            self.call("Browser.close")
        except (OSError, EOFError, TimeoutError):
            pass
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.to)
        os.close(self.of)
        shutil.rmtree(self.profile, ignore_errors=True)

    def call(self, method, **parameters):
        self.next_id += 1
        message = {"id": self.next_id, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        text = json.dumps(message).encode() + b"\0"
        while text:
            text = text[os.write(self.to, text):]
        self.pump(lambda: message["id"] in self.answers)
        answer = self.answers.pop(message["id"])
        if "error" in answer:
            raise RuntimeError("%s: %s" % (method, answer["error"]["message"]))
        return answer["result"]

    def pump(self, done):
        """Take messages until `done`."""
        deadline = time.monotonic() + PATIENCE
        while not done():
            while b"\0" not in self.buffer:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError("the browser does not answer")
                if select.select([self.of], [], [], left)[0]:
                    more = os.read(self.of, 1 << 16)
                    if not more:
                        raise EOFError("the browser went away")
                    self.buffer += more
            text, self.buffer = self.buffer.split(b"\0", 1)
            self.take(json.loads(text))

    def take(self, message):
        if "id" in message:
            self.answers[message["id"]] = message
            return
        what, about = message["method"], message.get("params", {})
        if what == "Runtime.exceptionThrown":
            details = about["exceptionDetails"]
            self.complaints.append(details.get("exception", {}).get("description") or details["text"])
        elif what == "Runtime.consoleAPICalled":
            self.complaints.append(" ".join(str(argument.get("value", argument.get("description"))) for argument in about["args"]))
        elif what == "Log.entryAdded":
            self.complaints.append(about["entry"]["text"])
        elif what == "Network.requestWillBeSent":
            self.requests.append(about["request"]["url"])
        elif what == "Page.loadEventFired":
            self.loaded = True
        elif what == "Page.javascriptDialogOpening":
            self.complaints.append("a dialogue: " + about["message"])
            self.next_id += 1
            os.write(self.to, json.dumps({"id": self.next_id, "method": "Page.handleJavaScriptDialog", "sessionId": self.session,
                                          "params": {"accept": True}}).encode() + b"\0")

    def open(self, url):
        self.loaded = False
        self.complaints, self.requests = [], []
        self.call("Page.navigate", url=url)
        self.pump(lambda: self.loaded)
        self.settle()

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise RuntimeError(details.get("exception", {}).get("description") or details["text"])
        return result["result"].get("value")

    def settle(self):
        """Until what was asked to be drawn is drawn."""
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")

    def resize(self, width, height, phone=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if phone else 1, mobile=phone)
        self.call("Emulation.setTouchEmulationEnabled", enabled=phone)

    def dark(self, dark):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.settle()

    def place(self, selector):
        """The middle of the first element that it fits, scrolled into sight."""
        box = self.evaluate("""(() => {
            const element = document.querySelector(%s);
            if (!element)
                return null;
            element.scrollIntoView({ block: "nearest" });
            const box = element.getBoundingClientRect();
            return [box.left, box.top, box.width, box.height];
        })()""" % json.dumps(selector))
        if not box or not box[2] or not box[3]:
            raise LookupError("nothing to be seen is " + selector)
        return box

    def mouse(self, kind, x, y, buttons=0):
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left" if kind != "mouseMoved" or buttons else "none",
                  buttons=buttons, clickCount=1 if kind != "mouseMoved" else 0)

    def click_at(self, x, y):
        self.mouse("mouseMoved", x, y)
        self.mouse("mousePressed", x, y, 1)
        self.mouse("mouseReleased", x, y)
        self.settle()

    def click(self, selector):
        left, top, width, height = self.place(selector)
        self.click_at(left + min(width / 2, 60), top + height / 2)

    def drag(self, x0, y0, x1, y1):
        self.mouse("mouseMoved", x0, y0)
        self.mouse("mousePressed", x0, y0, 1)
        for i in range(1, 5):
            self.mouse("mouseMoved", x0 + (x1 - x0) * i / 4, y0 + (y1 - y0) * i / 4, 1)
        self.mouse("mouseReleased", x1, y1)
        self.settle()

    def touch(self, *moments):
        """Fingers: a list of places [(x, y), ...] for each moment; then they are lifted."""
        for i, places in enumerate(moments):
            points = [{"x": x, "y": y, "id": finger} for finger, (x, y) in enumerate(places)]
            self.call("Input.dispatchTouchEvent", type="touchStart" if i == 0 else "touchMove", touchPoints=points)
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])
        self.settle()

    def key(self, key):
        text = {"text": key} if len(key) == 1 else {}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key)
        self.settle()

    def type(self, text):
        self.call("Input.insertText", text=text)
        self.settle()

    def picture(self, path):
        shot = self.call("Page.captureScreenshot", format="png")
        with open(path, "wb") as file:
            file.write(base64.b64decode(shot["data"]))
