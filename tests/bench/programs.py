"""Whole programs for bench_programs.py, which starts this file once for each run:

    programs.py PROGRAM MODE SCALE DIRECTORY

runs PROGRAM, SCALE times its usual length, watched by MODE, and prints one JSON object: elapsed_s, cpu_s of all
threads of the process, what the tool kept on disk, and how far RSS rose. Time runs from before the tool starts until
its output is complete: starting, stopping, and what a flusher still has to write are in it. Status 3: the program or
the tool is not installed; the reason is on stderr.
"""
import importlib
import io
import json
import os
import random
import re
import resource
import sys
import time

MISSING = 3


# ---- programs: prepare(directory) imports, and gives what is called with the scale ----

def share(items, scale):
    """So many of them, spread over all; never more than there are."""
    return items[::max(1, round(1 / scale))]


def prepare_test_suite(directory):
    import unittest
    names = ["test.test_textwrap", "test.test_json", "test.test_string", "test.test_fractions", "test.test_heapq"]
    for name in names:
        # Not every distribution has them; a loader would make failing tests of that.
        importlib.import_module(name)
    suites = [unittest.defaultTestLoader.loadTestsFromName(name) for name in names]
    kept = [[test for test in flat(suite) if not starts_processes(test)] for suite in suites]
    tests = [test for group in kept for test in group]

    def run(scale):
        result = unittest.TestResult()
        for test in share(tests, scale):
            test.run(result)
        if not result.testsRun:
            raise SystemExit("no test has run")
    return run


def flat(suite):
    for test in suite:
        if hasattr(test, "__iter__"):
            yield from flat(test)
        else:
            yield test


def starts_processes(test):
    """Those that start interpreters, and those that fill the C stack on purpose, measure something else."""
    return any(word in test.id() for word in ("TestTool", "TestMain", "recursion", "c_locale"))


def prepare_compile(directory):
    import compileall
    import email
    import shutil
    library = os.path.dirname(os.path.dirname(email.__file__))
    files = []
    for package in ("json", "email", "asyncio", "http", "unittest"):
        for name in sorted(os.listdir(os.path.join(library, package))):
            if name.endswith(".py"):
                files.append(shutil.copy(os.path.join(library, package, name),
                                         os.path.join(directory, package + "_" + name)))

    def run(scale):
        for path in share(files, scale):
            if not compileall.compile_file(path, force=True, quiet=2):
                raise SystemExit("%s does not compile" % path)
    return run


class Connection(io.BytesIO):
    """What a request handler needs of a socket, without a network."""

    def __init__(self, request):
        super().__init__(request)
        self.answer = bytearray()

    def makefile(self, mode, *_):
        return self

    def sendall(self, data):
        self.answer += data

    def settimeout(self, _):
        pass


class Answer:
    def __init__(self, data):
        self.data = data

    def makefile(self, *_):
        return io.BytesIO(self.data)


def prepare_http(directory):
    import http.client
    import string
    import urllib.parse
    from wsgiref import simple_server
    page = string.Template("<html><title>$title</title><ul>$items</ul></html>")

    def application(environ, start_response):
        query = urllib.parse.parse_qs(environ["QUERY_STRING"])
        count = int(query.get("count", ["1"])[0])
        if environ["PATH_INFO"].startswith("/json"):
            kind, body = "application/json", json.dumps({"items": [{"id": i, "name": "n%d" % i} for i in range(count)]})
        else:
            kind = "text/html; charset=utf-8"
            body = page.substitute(title=query.get("title", ["none"])[0],
                                   items="".join("<li>%d</li>" % i for i in range(count)))
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [body.encode()]

    class Handler(simple_server.WSGIRequestHandler):
        def log_message(self, *_):
            pass

        def address_string(self):
            return "127.0.0.1"

    class Server:
        base_environ = {"SERVER_NAME": "test", "SERVER_PORT": "80", "GATEWAY_INTERFACE": "CGI/1.1", "SCRIPT_NAME": "",
                        "REMOTE_HOST": "", "CONTENT_LENGTH": ""}

        def get_app(self):
            return application

    def run(scale):
        for i in range(max(1, round(2500 * scale))):
            path = "/json?count=%d" % (i % 20) if i % 2 else "/page?title=a%%20b&count=%d" % (i % 30)
            connection = Connection(("GET %s HTTP/1.1\r\nHost: test\r\nAccept: */*\r\nUser-Agent: bench\r\n"
                                     "Connection: close\r\n\r\n" % path).encode())
            Handler(connection, ("127.0.0.1", 1), Server())
            response = http.client.HTTPResponse(Answer(bytes(connection.answer)))
            response.begin()
            if response.status != 200 or not response.read():
                raise SystemExit("%s: status %d" % (path, response.status))
    return run


def prepare_mixed(directory):
    words = random.Random(1)
    text = " ".join("w%d" % words.randrange(5000) for _ in range(20000))
    data = [{"name": "n%d" % i, "values": [i, i / 3, None], "nested": {"a": [1, 2, {"b": i}]}} for i in range(300)]

    def run(scale):
        for _ in range(max(1, round(20 * scale))):
            json.loads(json.dumps(data, indent=1))
            re.sub(r"\w+", lambda match: match.group(0).title(), text)
            counts = {}
            for word in text.split():
                counts[word] = counts.get(word, 0) + 1
            sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return run


def prepare_flask(directory):
    flask = importlib.import_module("flask")
    application = flask.Flask("bench")
    page = "<ul>{% for item in items %}<li>{{ item.name|upper }}: {{ item.value }}</li>{% endfor %}</ul>"

    @application.route("/items/<int:count>")
    def items(count):
        return flask.render_template_string(page, items=[{"name": "n%d" % i, "value": i} for i in range(count)])

    @application.route("/json/<name>")
    def as_json(name):
        return flask.jsonify(name=name, query=dict(flask.request.args))

    client = application.test_client()

    def run(scale):
        for i in range(max(1, round(1000 * scale))):
            path = "/json/a?x=%d" % i if i % 2 else "/items/%d" % (i % 20)
            if client.get(path).status_code != 200:
                raise SystemExit(path)
    return run


def prepare_numpy(directory):
    numpy = importlib.import_module("numpy")

    def run(scale):
        numbers = numpy.random.default_rng(1)
        for _ in range(max(1, round(8000 * scale))):
            matrix = numbers.normal(size=(60, 60))
            vector = numpy.linalg.solve(matrix + 60 * numpy.eye(60), matrix[0])
            numpy.sort(numpy.concatenate([vector, numpy.cumsum(matrix.mean(axis=0))]))
            numpy.histogram(matrix, bins=20)
            numpy.einsum("ij,jk->ik", matrix[:10], matrix[:, :10])
    return run


def prepare_pandas(directory):
    pandas = importlib.import_module("pandas")

    def run(scale):
        numbers = random.Random(1)
        for _ in range(max(1, round(60 * scale))):
            frame = pandas.DataFrame({"key": [numbers.randrange(20) for _ in range(2000)],
                                      "value": [numbers.random() for _ in range(2000)]})
            means = frame.groupby("key")["value"].agg(["mean", "max", "count"]).reset_index()
            joined = frame.merge(means, on="key").sort_values("value")
            joined["rank"] = joined.groupby("key")["value"].rank()
            joined.pivot_table(index="key", values="rank", aggfunc="sum").describe()
            joined["key"].apply(str).str.zfill(4).value_counts()
    return run


PROGRAMS = {
    "test suite": prepare_test_suite, "compileall": prepare_compile, "wsgi": prepare_http, "json, re, sort": prepare_mixed,
    "flask": prepare_flask, "numpy": prepare_numpy, "pandas": prepare_pandas,
}


# ---- tools: prepare(path) imports, and gives start() and stop(); stop() has written `path` or nothing ----

def watch_none(path):
    return lambda: None, lambda: None


def watch_recorder(path):
    from pymemtrace import cPyMemTrace
    if not hasattr(cPyMemTrace, "_summary"):
        raise ImportError("pymemtrace is not ours", name="pymemtrace")
    profile = cPyMemTrace.Profile(0, filepath=path)
    return profile.start, profile.stop


def watch_cprofile(path):
    import cProfile
    profile = cProfile.Profile()

    def stop():
        profile.disable()
        profile.dump_stats(path)
    return profile.enable, stop


def watch_tracemalloc(path):
    import tracemalloc

    def stop():
        snapshot = tracemalloc.take_snapshot()
        tracemalloc.stop()
        snapshot.dump(path)
    return tracemalloc.start, stop


def watch_memray(path):
    memray = importlib.import_module("memray")
    tracker = memray.Tracker(path, trace_python_allocators=True)
    return tracker.__enter__, lambda: tracker.__exit__(None, None, None)


def watch_viztracer(path):
    viztracer = importlib.import_module("viztracer")
    tracer = viztracer.VizTracer(output_file=path + ".json", verbose=0)

    def stop():
        tracer.stop()
        tracer.save()
        os.rename(path + ".json", path)
    return tracer.start, stop


def watch_original(path):
    """The pymemtrace of PyPI: its log is text, every event with threshold 0."""
    from pymemtrace import cPyMemTrace
    if hasattr(cPyMemTrace, "_summary"):
        raise ImportError("the pymemtrace of PyPI is not installed", name="pymemtrace")
    profile = cPyMemTrace.Profile(0)

    def stop():
        profile.__exit__(None, None, None)
        [log] = [name for name in os.listdir(".") if name.endswith(".log")]
        os.rename(log, path)
    return profile.__enter__, stop


MODES = {
    "none": watch_none, "recorder": watch_recorder, "cProfile": watch_cprofile, "tracemalloc": watch_tracemalloc,
    "memray": watch_memray, "VizTracer": watch_viztracer, "original": watch_original,
}


def main():
    program, mode, scale, directory = sys.argv[1:]
    os.chdir(directory)
    path = os.path.join(directory, "output")
    try:
        run = PROGRAMS[program](directory)
        start, stop = MODES[mode](path)
    except ImportError as error:
        print("%s" % error, file=sys.stderr)
        return MISSING
    risen = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    cpu, elapsed = time.process_time(), time.monotonic()
    start()
    run(float(scale))
    stop()
    elapsed, cpu = time.monotonic() - elapsed, time.process_time() - cpu
    found = {"elapsed_s": elapsed, "cpu_s": cpu, "file_bytes": os.path.getsize(path) if os.path.exists(path) else 0,
             "peak_risen_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - risen}
    if mode == "recorder":
        from pymemtrace import cPyMemTrace
        summary = cPyMemTrace._summary(path)
        found.update(events=summary["events"], records=summary["records"], lost=summary["lost"])
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
