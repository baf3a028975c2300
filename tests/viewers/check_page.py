"""The page of `mtdump html` in Chromium: a known program's step is found and clicked through, hostile names run nothing.

    python3 check_page.py KNOWN.html HOSTILE.html OTHER.html...
    PICTURES=DIRECTORY python3 check_page.py ...        makes the pictures of the documents
"""
import os
import shutil
import sys
import tempfile

from browser import Browser

MIB = 1 << 20
checks = []


def check(what, good, *found):
    checks.append(bool(good))
    if not good:
        print("FAILED:", what, *found, file=sys.stderr)


def text(page, selector):
    return page.evaluate("document.querySelector(%r) && document.querySelector(%r).textContent" % (selector, selector))


def quiet(page, url, when):
    check("no complaint in the console, " + when, not page.complaints, page.complaints)
    check("nothing but itself is asked for, " + when, set(page.requests) == {url}, page.requests)


def band_is_drawn(page):
    """The edge of the chosen span is in the curve, in its colour, and not beside it."""
    return page.evaluate("""(() => {
        /* Of a copy: the page's own canvas is not one that is read. */
        const copy = Object.assign(document.createElement("canvas"), { width: curveCanvas.width, height: curveCanvas.height });
        const context = copy.getContext("2d", { willReadFrequently: true }), ratio = curveCanvas.width / curveCanvas.clientWidth;
        context.drawImage(curveCanvas, 0, 0);
        const x = Math.round(xOf(chosen.range[0], curveCanvas.clientWidth) * ratio);
        const distance = at => {
            const [r, g, b] = context.getImageData(at, 40, 1, 1).data;
            const edge = colours["band-edge"].match(/[0-9a-f]{2}/g).map(text => parseInt(text, 16));
            return Math.abs(r - edge[0]) + Math.abs(g - edge[1]) + Math.abs(b - edge[2]);
        };
        return [Math.min(distance(x), distance(x - 1), distance(x + 1)), distance(x - 12)];
    })()""")


def step_number(page, least, most, who):
    """Of the steps in the bar, that of so many bytes by the path that has this function in it."""
    return page.evaluate("""steps.findIndex(step => !step.falling && step.size >= %d && step.size <= %d &&
        step.path > 0 && pathList(step.path).some(path => pathName(path) === %r))""" % (least, most, who))


def check_step(page):
    number = step_number(page, 23 * MIB, 27 * MIB, "load_table")
    check("the step of 24 MiB is told", number >= 0, text(page, "#steps"))
    page.click("#steps button:nth-child(%d)" % (number + 1))
    movers = text(page, "#movers") or ""
    check("its calls are told", "load_table" in movers and "24.0 MiB" in movers, movers)
    edge, beside = band_is_drawn(page)
    check("its band is on the curve", edge < 60 < beside, edge, beside)

    page.click("#movers button")
    check("a click on who made it chooses that call", (text(page, "#panel h2") or "").startswith("pages"), text(page, "#panel"))
    change = page.evaluate("chosen.call && chosen.call.change")
    check("which grew by 24 MiB", change and 24 * MIB <= change < 25 * MIB, change)
    check("its thread is shown", page.evaluate("DATA.threads[view.thread].name") == "MainThread")
    crumbs = text(page, "#panel .crumbs") or ""
    check("its path is told", "main \u203a load_table \u203a pages" in crumbs, crumbs)
    page.click("#panel-function")
    check("and its function found", page.evaluate("document.querySelector('#functions-table tr.chosen').textContent").startswith("pages"))
    check("in the table, which shows", page.evaluate("byId('search').value") == "pages" and not page.evaluate("byId('functions').hidden"))


def check_brush(page):
    page.click("#zoom-all")
    left, top, width, height = page.place("#curve")
    x = left + page.evaluate("(() => { const step = steps[%d]; return xOf(step.begin, curveCanvas.clientWidth); })()"
                             % step_number(page, 23 * MIB, 27 * MIB, "load_table"))
    page.drag(x - 25, top + 60, x + 25, top + 60)
    movers = text(page, "#movers") or ""
    check("brushing the step tells who made it", "load_table" in movers and "+24.0 MiB" in movers, movers)
    begin, end, span = page.evaluate("[...chosen.range, (view.to - view.from) * 50 / curveCanvas.clientWidth]")
    check("the span is what was brushed", abs(end - begin - span) < span / 10, begin, end, span)


def check_calls(page):
    page.evaluate("choose({})")
    left, top, width, height = page.place("#rows")
    x, y = page.evaluate("""(() => {
        const call = calls.find(call => pathName(call.path) === "load_table");
        return [(xOf(call.begin, rowsBox.clientWidth) + xOf(call.end, rowsBox.clientWidth)) / 2, (call.depth - 1) * ROW + 5];
    })()""")
    page.click_at(left + x, top + y)
    check("a click on a call chooses it", (text(page, "#panel h2") or "").startswith("load_table"), text(page, "#panel"))
    edge, beside = band_is_drawn(page)
    check("and shows its band on the curve", edge < 60 < beside, edge, beside)
    page.evaluate("rowsBox.focus()")
    page.key("ArrowUp")
    check("up is its caller", (text(page, "#panel h2") or "").startswith("main"), text(page, "#panel h2"))
    page.key("ArrowDown")
    page.key("ArrowDown")
    check("down is what it called", len(text(page, "#panel .crumbs").split("\u203a")) >= 4, text(page, "#panel .crumbs"))
    page.evaluate("choose({ call: calls.filter(call => DATA.threads[call.thread].name === 'MainThread')"
                  ".reduce((deepest, call) => call.depth > deepest.depth ? call : deepest) })")
    page.evaluate("setThread(DATA.threads.findIndex(thread => thread.name === 'worker')); window.before = chosen.call")
    page.key("ArrowUp")
    check("up from a call of a thread that is not shown is its caller",
          page.evaluate("paths.parent[before.path] === chosen.call.path && view.thread === chosen.call.thread"))
    before = page.evaluate("view.to - view.from")
    page.key("+")
    check("+ goes closer", page.evaluate("view.to - view.from") < 0.6 * before)
    page.key("0")
    check("0 shows all", page.evaluate("view.from === BEGIN && view.to === END"))
    page.drag(left + 400, top + 5, left + 300, top + 5)
    page.key("+")
    page.evaluate("document.activeElement.blur()")
    page.key("Escape")
    check("Escape chooses nothing", page.evaluate("chosen.call === null && chosen.range === null"))
    page.key("n")
    check("n goes to the first step", page.evaluate("chosen.step === steps.indexOf([...steps].sort((a, b) => a.begin - b.begin)[0])"))


def check_tables(page):
    page.click("#tab-growth")
    growth = text(page, "#growth-table tbody") or ""
    check("what keeps growing is named", "pages" in growth and "remember" in growth and "grows" in growth, growth)
    page.click("#growth-table td button")
    check("and is a call on the curve", page.evaluate("pathList(chosen.call.path).some(path => pathName(path) === 'remember')"))
    page.click("#tab-threads")
    page.evaluate("""[...document.querySelectorAll("#threads-table td button")].find(one => one.textContent === "worker").click()""")
    page.settle()
    check("a thread is chosen from its table", page.evaluate("DATA.threads[view.thread].name") == "worker")
    page.evaluate("document.activeElement.blur()")
    page.key("/")
    page.evaluate("byId('search').value = ''")
    page.type("scratch")
    rows = page.evaluate("[...document.querySelectorAll('#functions-table tbody tr')].map(row => row.textContent)")
    check("the table is searched", len(rows) == 1 and rows[0].startswith("scratch") and "120 MiB" in rows[0], rows)
    page.key("Escape")


def check_flame(page):
    page.click("#tab-flame")
    page.click("#flame-released")
    check("the flame graph of releases has who released",
          page.evaluate("flame.frames.flat().some(frame => pathName(frame.path) === 'serve' && frame.width > 0.9)"))
    page.click("#flame-grown")
    left, top, width, height = page.place("#flame-rows")
    x, row = page.evaluate("""(() => {
        const row = flame.frames.findIndex(row => row.some(frame => pathName(frame.path) === "load_table"));
        const frame = flame.frames[row].find(frame => pathName(frame.path) === "load_table");
        return [(frame.x + frame.width / 2) * flameBox.clientWidth, row * ROW + 5];
    })()""")
    page.click_at(left + x, top + row)
    said = text(page, "#flame-text") or ""
    check("a click there tells what it is", said.startswith("load_table") and "24.0 MiB" in said, said)
    page.click_at(left + x, top + row)
    check("another goes closer", page.evaluate("pathName(flame.root)") == "load_table")
    page.click("#flame-reset")
    page.evaluate("chooseFlame(-1); flameBox.focus()")
    page.key("/")
    check("a key that is none of the flame graph's is the page's", page.evaluate("document.activeElement === byId('search')"))
    page.key("Escape")


def check_looks(page):
    page.dark(True)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
    page.dark(False)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")
    check("dark and light follow the system", dark == "rgb(18, 22, 28)" and light == "rgb(255, 255, 255)", dark, light)
    page.click("#theme")
    page.click("#theme")
    check("or what was chosen", page.evaluate("document.documentElement.dataset.theme") == "dark")
    page.click("#theme")
    page.resize(390, 844, phone=True)
    page.settle()
    for tab in ("growth", "flame", "functions", "threads"):
        page.click("#tab-" + tab)
        check("a phone need not scroll sideways: " + tab, page.evaluate("document.documentElement.scrollWidth") <= 390,
              page.evaluate("document.documentElement.scrollWidth"))
    check("fingers hit its buttons", page.evaluate("Math.min(...[...document.querySelectorAll('.bar button, #tabs button')]"
                                                   ".filter(one => one.offsetHeight).map(one => one.offsetHeight))") >= 38)
    check("nothing is smaller than it can be read", page.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 14)
    check_fingers(page)
    page.resize(1280, 900)
    page.settle()


def check_fingers(page):
    page.evaluate("setThread(DATA.threads.findIndex(thread => thread.name === 'MainThread'))")
    page.evaluate("setView(BEGIN, BEGIN + (END - BEGIN) / 4); choose({}); scrollTo(0, 0)")
    left, top, width, height = page.place("#rows")
    y = top + 30
    before = page.evaluate("[view.from, view.to]")
    page.touch([(300, y)], [(260, y)], [(200, y)])
    panned = page.evaluate("[view.from, view.to]")
    check("a finger drags the calls along", panned[0] > before[0] and abs((panned[1] - panned[0]) - (before[1] - before[0])) < 1000, before, panned)
    page.touch([(150, y), (250, y)], [(120, y), (280, y)], [(60, y), (340, y)])
    zoomed = page.evaluate("[view.from, view.to]")
    check("two go closer", zoomed[1] - zoomed[0] < 0.6 * (panned[1] - panned[0]), panned, zoomed)
    page.evaluate("setView(BEGIN, END)")
    left, top, width, height = page.place("#curve")
    page.touch([(100, top + 50)], [(140, top + 50)], [(240, top + 50)])
    check("a finger over the curve chooses a span", page.evaluate("chosen.range && chosen.range[1] - chosen.range[0] > (END - BEGIN) / 4"))
    page.touch([(200, top + height + 10)])
    check("a tap chooses a call", page.evaluate("chosen.call !== null"))


def check_others(page, urls):
    """Traces of every kind: none, one record, what is lost or damaged, the largest numbers there are."""
    for url in urls:
        page.open(url)
        for tab in ("growth", "flame", "functions", "threads"):
            page.evaluate("showTab('%s')" % tab)
        for key in ("n", "+", "+", "z", "0", "Escape", "p"):
            page.key(key)
        page.evaluate("rowsBox.focus()")
        for key in ("ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft"):
            page.key(key)
        check("axes have an end at any scale", page.evaluate("ticks(1e19, 1e19, 8, 10).length <= TICKS_MAX"))
        quiet(page, url, os.path.basename(url))


def check_hostile(page, url):
    page.open(url)
    check("no name runs", page.evaluate("typeof window.ran") == "undefined")
    for tab in ("growth", "flame", "functions", "threads"):
        page.click("#tab-" + tab)
    for i in range(page.evaluate("steps.length")):
        page.evaluate("chooseStep(%d)" % i)
        page.evaluate("document.querySelector('#movers button') && document.querySelector('#movers button').click()")
    page.evaluate("calls.forEach(call => call.moved > 1 << 20 && choose({ call }))")
    page.evaluate("for (let thread = 0; thread < DATA.threads.length; thread++) setThread(thread)")
    left, top, width, height = page.place("#rows")
    for i in range(4):
        page.mouse("mouseMoved", left + width * (i + 1) / 5, top + 8)
    page.settle()
    check("nor does it when it is shown", page.evaluate("typeof window.ran") == "undefined")
    check("no name is an element", page.evaluate("document.scripts.length === 2 && !document.querySelector('img, iframe, b b')"))
    page.evaluate("byId('search').value = '</script>'; showFunctions()")
    rows = page.evaluate("[...document.querySelectorAll('#functions-table tbody tr button')].map(one => one.textContent)")
    check("it is a text", any(row == "</script><script>window.ran = 1</script>" for row in rows), rows)
    names = page.evaluate("[...functions.name, ...DATA.files, ...DATA.threads.map(thread => thread.name)]")
    check("which turns nothing round", not any(chr(0x202e) in name or "\u2028" in name or "\x1b" in name for name in names))
    check("and is not endless", max(map(len, names)) < 300)
    quiet(page, url, "with hostile names")
    refused = page.evaluate("fetch('http://127.0.0.1:9/').then(() => 'went', () => 'refused')")
    check("the page may not ask anybody", refused == "refused" and any("Content Security Policy" in said for said in page.complaints),
          refused, page.complaints)


def pictures(page, directory):
    """What docs/ shows."""
    page.evaluate("setThread(DATA.threads.findIndex(thread => thread.name === 'MainThread')); setTheme('system')")
    page.click("#tab-growth")
    page.evaluate("setView(BEGIN, END); chooseStep(%d); setView(BEGIN, END); scrollTo(0, 0)" % step_number(page, 23 * MIB, 27 * MIB, "load_table"))
    page.evaluate("showTip({}, ''); document.activeElement.blur()")
    page.resize(1200, 960)
    for name, dark in (("light", False), ("dark", True)):
        page.dark(dark)
        page.settle()
        page.picture(os.path.join(directory, "html-%s.png" % name))
    page.dark(False)
    page.resize(390, 844, phone=True)
    page.settle()
    page.evaluate("scrollTo(0, 0)")
    page.picture(os.path.join(directory, "html-phone.png"))


def main(known, hostile, *others):
    chromium = shutil.which("chromium")
    if not chromium:
        print("NOT RUN: the page of mtdump html: no chromium here (Debian: apt-get install chromium)")
        return 0
    urls = ["file://" + os.path.abspath(path) for path in (known, hostile, *others)]
    directory = os.environ.get("PICTURES")
    with Browser(chromium, tempfile.mkdtemp(prefix="mtdump-page.")) as page:
        page.open(urls[0])
        if directory:
            pictures(page, directory)
            page.resize(1280, 900)
        check_step(page)
        check_brush(page)
        check_calls(page)
        check_tables(page)
        check_flame(page)
        check_looks(page)
        quiet(page, urls[0], "of a known program")
        check_hostile(page, urls[1])
        check_others(page, urls[2:])
    print("%d of %d checks of the page of mtdump html passed" % (sum(checks), len(checks)))
    return 0 if all(checks) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
