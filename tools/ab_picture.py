# SPDX-License-Identifier: MIT
"""The picture of `./hakmem ab`: one row a line, a dot with its interval for time, peak RSS and faults. Drawn by gnuplot;
colours then get a style sheet, so that the picture is as readable on a dark page. Used by ab.py."""

import math
import re
import shutil
import subprocess
import sys
from xml.sax.saxutils import escape

from ab_table import WORDS, word
from bench_run import BenchError

PANELS = (("time", "speed"), ("rss", "peak RSS"), ("faults", "minor faults"))
ROW = 19  # pixels
TOP, BOTTOM, LEFT, WIDTH = 112, 82, 170, 1000
GAP = 24  # between panels
WIDEST = 8.0  # a ratio beyond is drawn at the edge

# what it is for: on a light page, on a dark one. Good and bad are told apart without red and green, and by form too.
COLOURS = {
    "page": ("#ffffff", "#14171a"),
    "ink": ("#1f2328", "#e3e7eb"),
    "faint": ("#d5d9de", "#3a4047"),
    "unsure": ("#7d858e", "#8d969f"),
    "better": ("#0b62b0", "#63b3ff"),
    "worse": ("#b84a00", "#ff9b52"),
}


def rgb(colour):
    return "rgb(" + ",".join(str(int(colour[at:at + 2], 16)) for at in (1, 3, 5)) + ")"


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def kind(figure, what):
    said = word(figure, what)
    return "unsure" if not said else "better" if said == WORDS[what][0] else "worse"


def bound(value):
    return min(max(value, 1 / WIDEST), WIDEST)


def rows_of(results, overall, what):
    """(row from the bottom, figure): the lines from the top, the mean over all at the bottom."""
    rows = [(len(results) - at, result.figures[what]) for at, result in enumerate(results) if what in result.figures]
    return rows + ([(0, overall[what])] if what in overall else [])


def ticks(low, high):
    """Ratios worth a line, evenly spread: the finest of some steps that gives no more than seven."""
    for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5):
        first = math.ceil(low / step - 1e-9)
        marks = [round(step * at, 2) for at in range(first, int(high / step + 1e-9) + 1) if at > 0]
        if len(marks) <= 7:
            return marks
    return [mark for mark in (0.125, 0.25, 0.5, 1, 2, 4, 8) if low <= mark <= high]


def panel(at, what, title, results, overall, height):
    """The commands for one panel."""
    rows = rows_of(results, overall, what)
    low = min([0.96, *(bound(figure.low) for _, figure in rows)]) * 0.985
    high = max([1.04, *(bound(figure.high) for _, figure in rows)]) * 1.015
    each = (WIDTH - LEFT - GAP * len(PANELS)) / len(PANELS)
    left = LEFT + at * (each + GAP)
    first = 0 if overall else 1
    text = [
        f"set lmargin at screen {left / WIDTH}; set rmargin at screen {(left + each) / WIDTH}",
        f"set title {quoted(title)} textcolor rgb '{COLOURS['ink'][0]}' offset 0,-0.4 noenhanced",
        f"set xrange [{low}:{high}]; set yrange [{first - 0.6}:{len(results) + 0.6}]",
        "set xtics (" + ", ".join(f"'{mark:g}' {mark}" for mark in ticks(low, high)) + f") textcolor rgb "
        f"'{COLOURS['ink'][0]}'",
    ]
    names = [f"{quoted(result.name)} {len(results) - row}" for row, result in enumerate(results)]
    names += ["'geomean' 0"] if overall else []
    text.append("unset ytics" if at else f"set ytics ({', '.join(names)}) textcolor rgb '{COLOURS['ink'][0]}' noenhanced")
    plots = [f"$one using 1:2 with lines lw 1.2 lc rgb '{COLOURS['ink'][0]}' notitle"]
    text += ["$one << END", f"1 {first - 0.6}", f"1 {len(results) + 0.6}", "END"]
    for name, form in (("unsure", 6), ("better", 7), ("worse", 5)):
        points = [(bound(f.ratio), row, bound(f.low), bound(f.high)) for row, f in rows if kind(f, what) == name]
        if points:
            block = f"${what}_{name}"
            text += [f"{block} << END", *(" ".join(map(str, point)) for point in points), "END"]
            plots.append(f"{block} using 1:2:3:4 with xerrorbars pt {form} ps 0.7 lw 1.6 lc rgb '{COLOURS[name][0]}' "
                         "notitle")
    return [*text, "plot " + ", ".join(plots)]


def facts_lines(sides, facts, rounds):
    """Where and when, and what of: two lines under the picture."""
    commits = [fact["commit"] for fact in facts]
    what = commits[0] if commits[0] == commits[1] else "; ".join(
        f"{side.label}: {commit}" for side, commit in zip(sides, commits))
    return (f"{facts[0]['machine']}; THP {facts[0]['thp']}; {facts[0]['compiler']}",
            f"commit {what}; {facts[0]['date']}; {rounds}")


def script(results, overall, sides, facts, rounds):
    height = TOP + BOTTOM + ROW * (len(results) + bool(overall))
    ink, faint = COLOURS["ink"][0], COLOURS["faint"][0]
    a, b = sides
    text = [
        f"set terminal svg size {WIDTH},{height} dynamic font 'sans-serif,12' background rgb '{COLOURS['page'][0]}'",
        "set multiplot",
        f"set tmargin at screen {1 - TOP / height}; set bmargin at screen {BOTTOM / height}",
        f"set border 1 lc rgb '{faint}'; set tics scale 0; set logscale x",
        f"set grid xtics lt 1 lw 0.6 lc rgb '{faint}'",
        f"set label 1 {quoted(f'{b.label} against {a.label}')} at screen {20 / WIDTH},{1 - 22 / height} "
        f"font 'sans-serif,16' textcolor rgb '{ink}' noenhanced",
        f"set label 2 {quoted('Ratio with its 95 % interval. Speed: right of 1 is faster; memory: left of 1 is less.')} "
        f"at screen {20 / WIDTH},{1 - 44 / height} textcolor rgb '{ink}' noenhanced",
    ]
    for at, (name, said) in enumerate((("better", "filled dot: significantly better"),
                                       ("worse", "square: significantly worse"), ("unsure", "ring: not significant"))):
        text.append(f"set label {at + 3} {quoted(said)} at screen {(20 + 230 * at) / WIDTH},{1 - 64 / height} "
                    f"textcolor rgb '{COLOURS[name][0]}' noenhanced")
    for at, line in enumerate(facts_lines(sides, facts, rounds)):
        text.append(f"set label {at + 6} {quoted(line[:160])} at screen {20 / WIDTH},{(34 - 18 * at) / height} "
                    f"font 'sans-serif,11' textcolor rgb '{COLOURS['unsure'][0]}' noenhanced")
    for at, (what, title) in enumerate(PANELS):
        text += panel(at, what, title, results, overall, height)
        text += [f"unset label {number}" for number in range(1, 8)] if at == 0 else []
    return "\n".join([*text, "unset multiplot", ""])


def style():
    """Each colour by its attribute, as gnuplot wrote it; the media query changes what it stands for."""
    rules = [f":root{{{''.join(f'--{name}:{pair[0]};' for name, pair in COLOURS.items())}}}",
             "@media (prefers-color-scheme:dark){:root{"
             + "".join(f"--{name}:{pair[1]};" for name, pair in COLOURS.items()) + "}}"]
    for name, (light, _) in COLOURS.items():
        for attribute in ("color", "stroke", "fill"):
            forms = ",".join(f'[{attribute}="{form}"]' for form in (rgb(light), light))
            rules.append(f"{forms}{{{attribute}:var(--{name})}}")
    return "<style>" + "".join(rules) + "</style>"


def restyle(svg, title):
    svg = re.sub(r"rgb\(\s*(\d+),\s*(\d+),\s*(\d+)\s*\)", r"rgb(\1,\2,\3)", svg)
    svg = re.sub(r"<title>.*?</title>", lambda _: f"<title>{escape(title)}</title>", svg, count=1, flags=re.S)
    return re.sub(r"<defs>", lambda _: style() + "\n<defs>", svg, count=1)


def draw(path, results, overall, sides, facts, rounds):
    """Writes the picture; without gnuplot, says so."""
    if shutil.which("gnuplot") is None:
        print("ab: gnuplot is not installed: no picture", file=sys.stderr)
        return False
    done = subprocess.run(["gnuplot"], input=script(results, overall, sides, facts, rounds), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    if done.returncode != 0 or "</svg>" not in done.stdout:
        raise BenchError(f"gnuplot: {done.stderr.strip()[:300]}")
    with open(path, "w", encoding="utf-8") as file:
        file.write(restyle(done.stdout, f"{sides[1].label} against {sides[0].label}"))
    return True
