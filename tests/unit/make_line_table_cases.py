#!/usr/bin/env python3
"""Write line_table_cases.h: line tables as real interpreters make them, and what these say of them.

    make_line_table_cases.py python3.9 python3.10 ... >line_table_cases.h

Each interpreter named compiles the sources below and gives, of every code object in them, the raw table and
the lines that it itself reads from it: dis.findlinestarts() before 3.10, co_lines() since.
"""
import subprocess
import sys
import types

GAP = "\n" * 200                # a step that needs more than one entry of the old tables
LONG = "".join("    x%d = [a, a + %d, f(a)]\n" % (i, i) for i in range(40))     # over 255 bytes of code

SOURCES = [
    "",
    "x = 1\n",
    "\n\n\nimport os\nif os:\n    x = 2\nelse:\n    x = 3\n",
    "def f(a,\n      b):\n    return (a +\n            b *\n            a)\n",
    "def f(a):\n" + LONG + "    return x0\n",
    "def f(a):\n    x = 1\n" + GAP + "    y = 2\n    return (y,\n" + GAP + "            x)\n",
    "def f():\n    try:\n        yield 1\n    except OSError as e:\n        raise KeyError from e\n    finally:\n        print(\n"
    "            1,\n            2)\n",
    "def f(a):\n    for i in a:\n        while i:\n            if i > 3: break\n            i -= 1\n        else:\n            continue\n"
    "    with open(a) as b, open(b) as c:\n        return [x\n                for x in c\n                if x]\n",
    "@staticmethod\n@property\nclass C(object,\n        metaclass=type):\n    'doc'\n    x: int = 3\n    def g(self): return lambda: (\n"
    "        self)\n",
    "async def f(a):\n    async with a as b:\n        await b\n    async for c in a:\n        return await (\n            c)\n",
    "f(\n  1,\n  g(\n    2),\n  h\n  (3)\n)(\n4)\n",
]


def codes(code):
    yield code
    for const in code.co_consts:
        if isinstance(const, types.CodeType):
            yield from codes(const)


def ranges(code):
    """[(start, end, line)] in order, without holes; line -1 for none."""
    size = len(code.co_code)
    if hasattr(code, "co_lines"):
        return [(start, end, -1 if line is None else line) for start, end, line in code.co_lines() if start < end]
    import dis
    starts = list(dis.findlinestarts(code)) + [(size, None)]
    return [(a, b, line) for (a, line), (b, _) in zip(starts, starts[1:]) if a < b]


def one():
    version = "%d_%d" % sys.version_info[:2]
    kind = ("LINE_TABLE_LOCATIONS" if sys.version_info >= (3, 11) else
            "LINE_TABLE_PAIRS" if sys.version_info >= (3, 10) else "LINE_TABLE_LNOTAB")
    count = 0
    for source in SOURCES:
        for code in codes(compile(source, "f.py", "exec")):
            raw = code.co_linetable if hasattr(code, "co_linetable") else code.co_lnotab
            spans = ranges(code)
            name = "%s_%d" % (version, count)
            print("static const uint8_t raw_%s[] = {" % name)
            text = ", ".join("%d" % byte for byte in raw) or "0"
            while text:
                cut = len(text) if len(text) <= 110 else text.rindex(" ", 0, 110)
                print("\t" + text[:cut].strip())
                text = text[cut:]
            print("};\nstatic const struct line_span spans_%s[] = {" % name)
            line = ""
            for span in spans:
                item = "{ %d, %d, %d }, " % span
                if len(line) + len(item) > 110:
                    print("\t" + line.strip())
                    line = ""
                line += item
            print("\t" + line.strip() + "\n};")
            print("#define CASE_%s { \"%s\", %s, raw_%s, %d, %d, %d, spans_%s, %d }" %
                  (name, name, kind, name, len(raw), code.co_firstlineno, len(code.co_code), name, len(spans)))
            count += 1
    print("#define CASES_%s %s" % (version, ", ".join("CASE_%s_%d" % (version, i) for i in range(count))))
    print("COUNTED CASES_%s" % version, file=sys.stderr)


def main():
    if sys.argv[1:] == ["--one"]:
        one()
        return
    print("/* Made by make_line_table_cases.py; do not edit. */")
    names = []
    for interpreter in sys.argv[1:]:
        result = subprocess.run([interpreter, __file__, "--one"], check=True, text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        sys.stdout.write(result.stdout)
        names.append(result.stderr.split()[-1])
    print("\nstatic const struct line_case line_cases[] = {")
    for name in names:
        print("\t%s," % name)
    print("};")


main()
