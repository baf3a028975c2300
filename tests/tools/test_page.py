"""docs/recording.md: its examples with pytest and IPython."""

import re
import unittest

from tools import *

import pages


class Recording(pages.Page):

    def test_pytest(self):
        self.program("pytest", "'%s' -m pytest -p pymemtrace.pytest_plugin -p no:cacheprovider" % sys.executable)
        self.check_page("recording.md", "3 ", least=2)

    def test_ipython(self):
        self.check_page("recording.md", "4 ", least=2)

    def run_block(self, block):
        if block["language"] != "ipython":
            return super().run_block(block)
        printed = self.session(block["text"])
        if not self.update and sys.version_info >= (3, 12):
            self.assertEqual(self.normal(printed), self.normal(block["text"]))
        self.assertIn("trace: ", printed)
        return printed

    @staticmethod
    def normal(text):
        return pages.normal(re.sub(r"<ipython-input-[^>]*>|\d{6}_\d{6}_\d+", "<name>", text))

    def session(self, text):
        """The same cells, and what IPython prints below each; a page's blocks are one session."""
        cells = ["\n".join(line[len(start):] for line in cell.splitlines())
                 for cell, start in re.findall(r"^((In \[\d+\]: ).*\n(?: +\.\.\.: .*\n)*)", text, re.M)]
        self.cells = getattr(self, "cells", []) + cells
        self.write("work/cells.py", """
            from IPython.core.interactiveshell import InteractiveShell
            from traitlets.config import Config
            # No history, whose thread may come into a trace.
            shell = InteractiveShell.instance(colors="nocolor", config=Config(HistoryManager={"enabled": False}))
            cells = %r
            for number, cell in enumerate(cells, 1):
                start = "In [%%d]: " %% number
                print("\\0" + start + cell.replace("\\n", "\\n" + "...: ".rjust(len(start))))
                shell.run_cell(cell, store_history=True)
                print()
        """ % (self.cells,))
        env = dict(self.env, IPYTHONDIR=self.path("ipython"))
        result = run([sys.executable, "cells.py"], self.path("work"), env=env)
        self.check_status(result)
        for name in os.listdir(self.path("work")):      # of this run; the next block's has all cells again
            if name.endswith(".mtrace"):
                os.unlink(self.path("work", name))
        shown = result.out.decode().replace(self.path("work") + "/", "").split("\0")
        return "".join(shown[-len(cells):]).rstrip("\n") + "\n"


if __name__ == "__main__":
    unittest.main()
