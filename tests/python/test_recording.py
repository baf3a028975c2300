"""docs/recording.md: its decorators and its environment; what needs pytest and IPython is in tests/tools."""

import unittest

from pages import HERE, Page, os


class Recording(Page):

    def test_decorators(self):
        self.check_page("recording.md", "1 ", least=2)

    def test_environment(self):
        # As if pymemtrace.pth lay beside the installed package.
        os.mkdir(self.path("site"))
        self.write("site/sitecustomize.py", "import site\nsite.addsitedir(%r)\n" %
                   os.path.join(os.path.dirname(os.path.dirname(HERE)), "recorder"))
        self.env["PYTHONPATH"] = self.path("site") + ":" + os.environ["PYTHONPATH"]
        self.check_page("recording.md", "2 ", least=3)


del Page

if __name__ == "__main__":
    unittest.main()
