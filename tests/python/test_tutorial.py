"""docs/tutorial.md: what it shows is what happens (pages.py says how that is compared)."""

import unittest

from pages import Page, normal


class Tutorial(Page):

    def test_every_command_does_what_the_page_says(self):
        self.check_page("tutorial.md", least=10)

    def test_what_is_compared(self):
        self.assertEqual(normal("  59.0M        0  +1.2%  12ms f  x.py:5\n\n"), ["# # # # f x.py:#"])
        self.assertNotEqual(normal("note keeps 1K"), normal("page keeps 1K"))


del Page

if __name__ == "__main__":
    unittest.main()
