"""Plots as SVG, without a library: bars with whiskers, and lines with bands
over a logarithmic axis."""
import math
from xml.sax.saxutils import escape

BLUE = ("#1f5f99", "#6aa5d8", "#12b0a0", "#9ad0f0")
COLOURS = {"Debezium": ("#c4501b", "#e8a67f"), "librdkafka alone": ("#6f767c", "#b4babf")}
WIDTH, LEFT, RIGHT = 860, 270, 130


def _colours(labels):
    """The same family for all of a kind."""
    found, used = {}, {}
    for label in labels:
        kind = next((k for k in COLOURS if label.startswith(k)), None)
        palette = COLOURS.get(kind, BLUE)
        found[label] = palette[used.get(kind, 0) % len(palette)]
        used[kind] = used.get(kind, 0) + 1
    return found


def _svg(width, height, title, body, about):
    words, lines = about.split(), [""]
    for word in words:
        if len(lines[-1]) + len(word) > 140:
            lines.append("")
        lines[-1] += word + " "
    total = height + 14 * len(lines) + 8
    notes = "".join(f'<text x="10" y="{height + 14 * i + 6}" class="n">{escape(line)}</text>'
                    for i, line in enumerate(lines))
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{total}"'
            f' viewBox="0 0 {width} {total}">'
            '<style>text{font:12px sans-serif;fill:#222}.t{font-weight:bold;font-size:14px}'
            '.n{font-size:10px;fill:#666}.e{text-anchor:end}.m{text-anchor:middle}</style>'
            f'<rect width="{width}" height="{total}" fill="#fff"/>'
            f'<text x="10" y="20" class="t">{escape(title)}</text>{body}{notes}</svg>\n')


def _short(x):
    return f"{x:,.0f}" if x >= 100 else f"{x:.3g}"


def bars(path, title, unit, rows, about):
    """rows: [(label, median, lowest, highest)]"""
    top = max(high for _, _, _, high in rows) or 1
    scale = (WIDTH - LEFT - RIGHT) / top
    colours, body = _colours([row[0] for row in rows]), []
    for i, (label, middle, low, high) in enumerate(rows):
        y = 40 + 30 * i
        body.append(
            f'<text x="{LEFT - 8}" y="{y + 14}" class="e">{escape(label)}</text>'
            f'<rect x="{LEFT}" y="{y}" width="{middle * scale:.1f}" height="20"'
            f' fill="{colours[label]}"/>'
            f'<path d="M{LEFT + low * scale:.1f} {y + 10}H{LEFT + high * scale:.1f}'
            f'M{LEFT + low * scale:.1f} {y + 6}v8M{LEFT + high * scale:.1f} {y + 6}v8"'
            ' stroke="#222" fill="none"/>'
            f'<text x="{LEFT + max(middle, high) * scale + 6:.1f}" y="{y + 14}">'
            f'{_short(middle)} {escape(unit)}</text>')
    with open(path, "w") as f:
        f.write(_svg(WIDTH, 60 + 30 * len(rows), title, "".join(body), about))


def _ticks(low, high, logarithmic):
    if not logarithmic:
        step = 10 ** math.floor(math.log10(high or 1))
        step = next(s for s in (step / 5, step / 2, step, step * 2) if high / s <= 8)
        return [step * i for i in range(int(high / step) + 2)]
    return [10.0 ** i for i in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def lines(path, title, x_name, y_name, series, about, log_y=True):
    """series: {label: [(x, median, lowest, highest)]}; x is logarithmic."""
    points = [p for s in series.values() for p in s]
    x0, x1 = min(p[0] for p in points), max(p[0] for p in points)
    ys = _ticks(min(p[2] for p in points) or 0.01, max(p[3] for p in points), log_y)
    left, right, top, bottom = 70, 540, 60, 350

    def px(x):
        span = math.log(x1 / x0) or 1
        return left + (right - left) * math.log(x / x0) / span

    def py(y):
        if log_y:
            part = math.log(max(y, ys[0]) / ys[0]) / math.log(ys[-1] / ys[0])
        else:
            part = y / ys[-1]
        return bottom - (bottom - top) * part

    body = [f'<path d="M{left} {py(y):.1f}H{right}" stroke="#ddd"/>'
            f'<text x="{left - 6}" y="{py(y) + 4:.1f}" class="e">{_short(y)}</text>' for y in ys]
    marks = sorted({p[0] for p in points})
    if len(marks) > 5:
        marks = [x for x in _ticks(x0, x1, True) if x0 <= x <= x1]
    body += [f'<text x="{px(x):.1f}" y="{bottom + 18}" class="m">{_short(x)}</text>' for x in marks]
    body.append(f'<text x="{(left + right) / 2}" y="{bottom + 36}" class="m">{escape(x_name)}</text>'
                f'<text x="{left - 60}" y="{top - 14}">{escape(y_name)}</text>')
    colours = _colours(series)
    for i, (label, row) in enumerate(series.items()):
        colour = colours[label]
        row = sorted(row)
        line = "L".join(f"{px(x):.1f} {py(m):.1f}" for x, m, _, _ in row)
        body.append(f'<path d="M{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        body += [f'<path d="M{px(x):.1f} {py(low):.1f}V{py(high):.1f}" stroke="{colour}"/>'
                 f'<circle cx="{px(x):.1f}" cy="{py(m):.1f}" r="3" fill="{colour}"/>'
                 for x, m, low, high in row]
        body.append(f'<rect x="{right + 16}" y="{top + 20 * i - 9}" width="10" height="10"'
                    f' fill="{colour}"/><text x="{right + 32}" y="{top + 20 * i}">'
                    f'{escape(label)}</text>')
    with open(path, "w") as f:
        f.write(_svg(WIDTH, bottom + 60, title, "".join(body), about))
