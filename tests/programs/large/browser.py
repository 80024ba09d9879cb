# SPDX-License-Identifier: MIT
"""Chromium without a window: loads a page whose scripts build a tree, sort, draw and lay out, and prints the document
that came out. Used by chromium.py and chromium_sandbox.py."""
import harness

PAGE = """<!doctype html><title>page</title><body><div id="list"></div><p id="out"></p><script>
let state = 7;
const dice = n => (state = (state * 1664525 + 1013904223) >>> 0) % n;
const rows = [];
for (let i = 0; i < 4000; i++) rows.push({id: dice(100000), text: 'x'.repeat(dice(60))});
rows.sort((a, b) => a.id - b.id || a.text.length - b.text.length);
const list = document.getElementById('list');
for (const row of rows) {
    const each = document.createElement('span');
    each.textContent = row.id + row.text;
    each.style.cssText = 'display:inline-block;border:1px solid;margin:' + row.id % 7 + 'px';
    list.appendChild(each);
}
for (let i = 0; i < 200; i++) list.removeChild(list.children[dice(list.children.length)]);
const canvas = new OffscreenCanvas(300, 300), pen = canvas.getContext('2d');
for (let i = 0; i < 300; i++) { pen.fillStyle = `rgb(${i % 256},0,9)`; pen.fillRect(dice(300), dice(300), 20, 20); }
const all = new Map();
let turn = 0, sum = 0;
function step() {
    for (let i = 0; i < 20000; i++) all.set('k' + (turn * 7 + i) % 9000, new Uint8Array((turn + i) % 300));
    list.appendChild(document.createElement('b')).innerHTML = '<i>' + turn + '</i>'.repeat(turn % 5);
    if (++turn < 20) { setTimeout(step, 10); return; }
    for (const [k, v] of all) sum += k.length + v.length;
    document.getElementById('out').textContent = sum + ' ' + JSON.stringify(rows).length + ' ' +
        list.getBoundingClientRect().width;
    document.title = 'done';
}
step();
</script>"""

FLAGS = ["--headless", "--disable-gpu", "--disable-background-networking", "--no-first-run",
         "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--window-size=800,600",
         "--virtual-time-budget=20000", "--dump-dom"]


def load_page(run, before=(), flags=()):
    chromium = harness.need("/usr/lib/chromium/chromium", "chromium", package="chromium")
    run.write("page.html", PAGE)
    out = run.cmd([*before, chromium, *flags, *FLAGS, f"--user-data-dir={run.path('profile')}",
                   "file://" + run.path("page.html")], hold="chromium", compare=False, timeout=150)
    run.note("document", out)
    if b"<title>done</title>" not in out:
        raise harness.Failure(f"{run.name}: the scripts did not end: {out[-500:].decode(errors='replace')}")
