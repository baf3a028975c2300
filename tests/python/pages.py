"""Pages of docs/ as tests: each command in them works, and prints what stands there, but for sizes, times and numbers.

A page has files (`name.py`: and a block ```python) and commands with their output (```console, "$ COMMAND").

    UPDATE=1 make check TESTS=tests/python/test_tutorial.py

writes what was printed into the page; read the difference.

On Pythons before 3.12 some names and calls differ; there the commands are run, and have to end as on the page.
"""

import json

from support import *

DOCS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "docs")
BLOCK = re.compile(r"(?:`(?P<file>[\w.]+)`:\n\n)?```(?P<language>\w+)\n(?P<text>.*?)```\n", re.S)

NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)*(?:[KMG](?:iB)?|h|m(?:in)?|us|ms|ns|s|x|%)?(?=[^\w]|$)")
CHART = re.compile("[\u2800-\u28ff]|[|\u2502].*")


def normal(output):
    """What has to agree: words, in their order, line by line."""
    lines = []
    for line in output.splitlines():
        line = NUMBER.sub("#", CHART.sub("", line))
        lines.append(" ".join(line.split()))
    while lines and not lines[-1]:
        lines.pop()
    return lines


class Page(TraceCase):

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("bin"))
        self.program("mtdump", "'%s'" % MTDUMP)
        self.program("python3", "'%s'" % sys.executable)
        self.env = environment(PATH=self.path("bin") + ":" + os.environ["PATH"], LC_ALL="C.UTF-8", COLUMNS="80")
        self.update = bool(os.environ.get("UPDATE"))

    def program(self, name, command):
        """What `name` is in the page's commands."""
        with open(self.path("bin", name), "w") as file:
            file.write("#!/bin/sh\nexec %s \"$@\"\n" % command)
        os.chmod(self.path("bin", name), 0o755)

    def shell(self, command):
        """Its output, errors included; `$?` is that of the command before."""
        result = run(["sh", "-c", "exec 2>&1; (exit %d); %s" % (self.status, command)], self.path("work"), env=self.env)
        self.status = result.status if result.status >= 0 else 128 - result.status
        return result.out.decode("utf-8", "replace").replace(self.path("work"), "/home/you")

    def commands(self, text):
        """[[command, what stands below it]]"""
        found = []
        for line in text.splitlines(True):
            if line.startswith("$ "):
                found.append([line[2:].rstrip("\n"), ""])
            else:
                found[-1][1] += line
        return found

    def run_block(self, block):
        if block["file"]:
            self.assertEqual(block["language"], "python")
            with open(self.path("work", block["file"]), "w", encoding="utf-8") as file:
                file.write(block["text"])
            return block["text"]
        self.assertEqual(block["language"], "console")
        printed = ""
        for command, expected in self.commands(block["text"]):
            output = self.shell(command)
            printed += "$ " + command + "\n" + output
            self.compare(command, expected, output)
        return printed

    def compare(self, command, expected, output):
        if self.update:
            return
        if sys.version_info >= (3, 12):
            self.assertEqual(normal(output), normal(expected), command)
        else:
            self.assertEqual(bool(output), bool(expected), "%s: %s" % (command, output))
            self.assertEqual(output.startswith("mtdump: "), expected.startswith("mtdump: "), output)

    def lost_events(self):
        """Did a busy machine keep one of the traces from being whole?"""
        for directory, _, names in os.walk(self.path("work")):
            for name in names:
                if name.endswith(".mtrace"):
                    info = run([MTDUMP, "info", "--json", name], directory, env=tool_environment())
                    if json.loads(info.out)["lost"]["total"]:
                        return True
        return False

    def run_once(self, text):
        """The text with what was printed this time."""
        self.status, new, end = 0, "", 0
        shutil.rmtree(self.path("work"), ignore_errors=True)
        os.mkdir(self.path("work"))
        for block in BLOCK.finditer(text):
            new += text[end:block.start("text")] + self.run_block(block)
            end = block.end("text")
        return new + text[end:]

    def run_text(self, text):
        for _ in range(4):
            try:
                return self.run_once(text)
            except AssertionError:
                if not self.lost_events():
                    raise
        self.skipTest("the machine was too busy to record the programs whole")

    def check_page(self, name, section="", least=1):
        """The blocks of docs/NAME, or of its one section whose heading begins so: at least so many of them."""
        path = os.path.join(DOCS, name)
        with open(path, encoding="utf-8") as file:
            page = file.read()
        parts = re.split(r"^(?=## )", page, flags=re.M) if section else [page]
        wanted = [n for n, part in enumerate(parts) if part.startswith("## " + section if section else "")]
        self.assertEqual(len(wanted), 1, "sections '%s'" % section)
        part = parts[wanted[0]]
        self.assertGreaterEqual(len(BLOCK.findall(part)), least)
        parts[wanted[0]] = self.run_text(part)
        if self.update:
            with open(path, "w", encoding="utf-8") as file:
                file.write("".join(parts))
