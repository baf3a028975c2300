"""A program whose names would like to run in the page that shows them. What runs sets window.ran."""
import threading

NAMES = [
    "</script><script>window.ran = 1</script>",
    "<script>window.ran = 2</script>",
    "<img src=x onerror='window.ran = 3'>",
    "\"'`;window.ran=4;//",
    "${window.ran = 5}",
    "<!--<script>",
    "\u202egpj.exe\u202c",
    "a\u2028window.ran = 6",
    "]]>\x00\x1b[31m\r\n&lt;b&gt;&#x41;",
    "\ud800 alone",
    "%data%",
    "__proto__",
    "x" * 5000,
]
kept = []


def grow():
    kept.append(bytearray(b"x") * (3 << 20))


def named(name):
    code = grow.__code__.replace(co_name=name, co_filename="/" + name + "/" + name)
    if hasattr(code, "co_qualname"):
        code = code.replace(co_qualname=name)
    return type(grow)(code, globals())


for one in NAMES:
    named(one)()
    thread = threading.Thread(target=named(one), name=one)
    thread.start()
    thread.join()
