"""Plots as SVG, with nothing but the standard library: bars of groups, and curves over two logarithmic axes.

Under its title each names where it was measured.
"""
import math
from xml.sax.saxutils import escape

COLOURS = ("#2f6fb0", "#c77d3a", "#9aa5b1", "#5a9e5a", "#a05fa8", "#b8483f", "#3aa5a5", "#7a6a4f")


def text(x, y, what, size=11, anchor="start"):
    return '<text x="%.1f" y="%.1f" font-family="sans-serif" font-size="%d" text-anchor="%s">%s</text>' % (
        x, y, size, anchor, escape(what))


def sheet(width, height, title, where):
    return ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">' % (width, height),
            '<rect width="100%" height="100%" fill="white"/>', text(10, 18, title, 12),
            text(10, 32, where, 10)]


def legend(names, y):
    out, x = [], 60
    for name, colour in zip(names, COLOURS):
        out += ['<rect x="%d" y="%d" width="12" height="12" fill="%s"/>' % (x, y, colour), text(x + 18, y + 10, name)]
        x += 40 + 7 * len(name)
    return out


def bars(path, title, where, unit, groups):
    """A bar for each name of each group: {group: {name: figure}}. A name that a group lacks has a gap there."""
    names = list(dict.fromkeys(name for figures in groups.values() for name in figures))
    top = max([figure for figures in groups.values() for figure in figures.values()] + [0]) or 1
    step, base = 18 * len(names) + 20, 250
    step = max(step, 90)
    width = max(60 + step * len(groups) + 20, 640)
    out = sheet(width, 320, title, where)
    for line in range(5):
        y = base - line * 50
        out += ['<line x1="60" x2="%d" y1="%d" y2="%d" stroke="#ddd"/>' % (width - 10, y, y),
                text(54, y + 4, "%.3g%s" % (top * line / 4, unit), 10, "end")]
    for i, (group, figures) in enumerate(groups.items()):
        left = 60 + step * i + (step - 18 * len(names)) / 2
        for j, name in enumerate(names):
            if name in figures:
                size = max(0, figures[name]) / top * 200
                out.append('<rect x="%.1f" y="%.1f" width="15" height="%.1f" fill="%s"><title>%s: %.4g</title></rect>' % (
                    left + 18 * j, base - size, size, COLOURS[j % len(COLOURS)], escape(name), figures[name]))
        out.append(text(60 + step * (i + 0.5), base + 16, group, 11, "middle"))
    out += legend(names, 290)
    with open(path, "w") as file:
        file.write("\n".join(out + ["</svg>", ""]))


def decades(figures):
    """The powers of ten around some positive figures, at least one apart."""
    low, high = math.floor(math.log10(min(figures))), math.ceil(math.log10(max(figures)))
    return low, max(high, low + 1)


def curves(path, title, where, x_name, unit, series):
    """Curves of {name: [(x, y)]}, both axes logarithmic; what is not positive is left out."""
    series = {name: [(x, y) for x, y in points if x > 0 and y > 0] for name, points in series.items()}
    every = [point for points in series.values() for point in points]
    if not every:
        every = [(1, 1)]
    (left, right), (low, high) = decades([x for x, _ in every]), decades([y for _, y in every])

    def place(x, y):
        return (70 + (math.log10(x) - left) / (right - left) * 530, 250 - (math.log10(y) - low) / (high - low) * 205)

    out = sheet(640, 320, title, where)
    for power in range(low, high + 1):
        _, y = place(10 ** left, 10 ** power)
        out += ['<line x1="70" x2="600" y1="%.1f" y2="%.1f" stroke="#ddd"/>' % (y, y),
                text(64, y + 4, "%g%s" % (10 ** power, unit), 10, "end")]
    for power in range(left, right + 1):
        x, _ = place(10 ** power, 10 ** low)
        out += ['<line x1="%.1f" x2="%.1f" y1="45" y2="250" stroke="#ddd"/>' % (x, x),
                text(x, 264, "10^%d" % power, 10, "middle")]
    out.append(text(600, 280, x_name, 10, "end"))
    for (name, points), colour in zip(series.items(), COLOURS):
        places = [place(x, y) for x, y in points]
        out.append('<polyline fill="none" stroke="%s" stroke-width="2" points="%s"/>' % (
            colour, " ".join("%.1f,%.1f" % at for at in places)))
        out += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"><title>%s: %.4g</title></circle>' % (
            *at, colour, escape(name), y) for at, (_, y) in zip(places, points)]
    out += legend(series, 292)
    with open(path, "w") as file:
        file.write("\n".join(out + ["</svg>", ""]))
