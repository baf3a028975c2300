"""docs/sql.md: each command in it works and prints what stands there.

    UPDATE=1 ./runtests --part tables

writes what was printed into the page; read the difference.
"""

import shutil
import unittest

from tables import *

import pages


class Sql(pages.Page):

    def test_every_command_does_what_the_page_says(self):
        if not shutil.which("java"):
            self.skipTest("Spark needs a Java runtime: apt-get install default-jre-headless")
        # Names like spark-xx.localdomain are not resolved everywhere.
        self.env["SPARK_LOCAL_IP"] = "127.0.0.1"
        self.check_page("sql.md", least=11)

    def run_block(self, block):
        if block["language"] != "sql":
            return super().run_block(block)
        with open(self.path("work", block["file"]), "w", encoding="utf-8") as file:
            file.write(block["text"])
        return block["text"]


if __name__ == "__main__":
    unittest.main()
