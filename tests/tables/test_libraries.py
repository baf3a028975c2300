"""A trace as a table of pyarrow, polars and DuckDB, and as a Parquet file: the same rows as pymemtrace's own events."""

import glob
import unittest

from tables import *

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pymemtrace

TRACES = os.path.join(os.path.dirname(HERE), "traces")
GOOD = sorted(glob.glob(os.path.join(TRACES, "good-*.mtrace")))
BAD = os.path.join(TRACES, "bad-site.mtrace")
PROGRAM = """
def f(n):
    return bytearray(n)
for i in range(40_000):
    f(i)
"""


def events(path):
    return [tuple(event) for event in pymemtrace.open(path)]


class Libraries(TraceCase):

    def paths(self):
        self.write("program.py", PROGRAM)
        self.record_whole("t.mtrace", "program.py")
        return GOOD + [self.path("t.mtrace")]

    def rows(self, table):
        """Of a pyarrow table, which is whole by its own judgement."""
        table.validate(full=True)
        return list(zip(*[column.to_pylist() for column in table.columns])) if table.num_rows else []

    def test_pyarrow(self):
        seen = 0
        for path in self.paths():
            with self.subTest(path):
                table = pyarrow.table(pymemtrace.open(path))
                expected = events(path)
                self.assertEqual(self.rows(table), expected)
                self.assertEqual(table.num_rows, len(expected))
                # One dictionary for all batches.
                for column in table.columns:
                    if pyarrow.types.is_dictionary(column.type):
                        self.assertEqual(len({tuple(chunk.dictionary.to_pylist()) for chunk in column.chunks}),
                                         min(1, column.num_chunks))
                seen += len(expected)
        self.assertGreater(seen, 80_000)
        self.assertGreater(table.column("event").num_chunks, 1)

    def test_pyarrow_asks_for_plain_texts(self):
        path = os.path.join(TRACES, "good-meta.mtrace")
        own = pyarrow.schema(pymemtrace.open(path))
        wanted = pyarrow.schema([(field.name, pyarrow.string() if pyarrow.types.is_dictionary(field.type) else field.type)
                                 for field in own])
        table = pyarrow.RecordBatchReader.from_stream(pymemtrace.open(path), schema=wanted).read_all()
        self.assertEqual(table.schema.types, wanted.types)
        self.assertEqual(self.rows(table), events(path))

    def test_parquet(self):
        for path in self.paths():
            with self.subTest(path):
                table = pyarrow.table(pymemtrace.open(path))
                pyarrow.parquet.write_table(table, self.path("t.parquet"))
                again = pyarrow.parquet.read_table(self.path("t.parquet"))
                self.assertEqual(again.schema.types, table.schema.types)
                self.assertEqual(self.rows(again), events(path))
                self.assertEqual(polars.read_parquet(self.path("t.parquet")).height, len(table))

    def test_polars(self):
        for path in self.paths():
            with self.subTest(path):
                frame = polars.DataFrame(pymemtrace.open(path))
                self.assertEqual(frame.rows(), events(path))
                series = polars.from_arrow(pymemtrace.open(path))
                self.assertEqual(len(series), frame.height)

    def test_duckdb(self):
        for path in self.paths():
            with self.subTest(path):
                trace = pymemtrace.open(path)
                for _ in range(2):              # a trace can be asked more than once
                    rows = duckdb.sql("SELECT * FROM trace").fetchall()
                    self.assertEqual(rows, events(path))
        grown = duckdb.sql("SELECT function, sum(drss_bytes) FROM trace WHERE kind = 'RETURN' GROUP BY ALL").fetchall()
        self.assertIn("f", dict(grown))

    def test_damage_is_each_librarys_error_behind_whole_batches(self):
        before = []
        with self.assertRaises(pymemtrace.TraceError) as own:
            for event in pymemtrace.open(BAD):
                before.append(tuple(event))
        self.assertGreater(len(before), 0)
        words = str(own.exception).split(": ", 1)[1]

        reader, read = pyarrow.RecordBatchReader.from_stream(pymemtrace.open(BAD)), []
        with self.assertRaisesRegex(OSError, re.escape(words)):
            for batch in reader:
                read += zip(*[column.to_pylist() for column in batch.columns])
        self.assertEqual(read, before)
        with self.assertRaisesRegex(Exception, re.escape(words)):
            polars.DataFrame(pymemtrace.open(BAD))
        trace = pymemtrace.open(BAD)
        with self.assertRaisesRegex(duckdb.Error, re.escape(words)):
            duckdb.sql("SELECT count(*) FROM trace").fetchall()

        trace = pymemtrace.open(BAD, on_damage="skip")
        self.assertEqual(duckdb.sql("SELECT * FROM trace").fetchall(), [tuple(event) for event in trace])


if __name__ == "__main__":
    unittest.main()
