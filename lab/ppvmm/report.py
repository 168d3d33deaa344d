"""The demo's report: one self-contained HTML page with a drawn timeline."""

import html
from pathlib import Path

LANES = (("Xen", ("xen",)), ("faults", ("fault",)),
         ("unikernels", ("xenstore_uk", "ppvmm", "xenstored", "oxenstored", "root", "net_uk")),
         ("dom0, xl", ("dom0", "xl")), ("guest", ()))
COLOURS = ("#5b6b7b", "#b91c1c", "#c2410c", "#1d4ed8", "#15803d")
WIDTH, LEFT, RIGHT, LANE, TOP = 1100, 110, 40, 92, 34

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1f2933; background: #fbfbf9; max-width: 1140px;
       margin: 2.5rem auto; padding: 0 1.5rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .4rem } h2 { margin: 2.4rem 0 .6rem; font-size: 1.2rem }
.lead { color: #52606d; margin: 0 0 1.6rem; max-width: 62em }
.verdict { display: inline-block; padding: .15rem .7rem; border-radius: 1rem; color: #fff; font-weight: 600 }
.ok { background: #15803d } .bad { background: #b91c1c }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .8rem .3rem 0;
       border-bottom: 1px solid #e4e7eb; vertical-align: top } td.n { text-align: right; font-variant-numeric: tabular-nums }
svg { width: 100%; height: auto; background: #fff; border: 1px solid #e4e7eb; border-radius: 8px }
pre { background: #f1f3f5; padding: .8rem 1rem; overflow-x: auto; border-radius: 6px; font-size: .85rem }
"""


def write(outcome, events: list[dict], checks: list[dict], store: str, seconds: float, traffic: str = "") -> Path:
    """Writes report.html into the run's folder. `events` carry the text that is shown as "text"; `traffic` is a figure."""
    result = outcome.result
    verdict = "all of it was observed" if outcome.ok else "not all of it was observed"
    rows = "".join(f"<tr><td class=n>{event['t_ms'] / 1000:.3f}</td><td>{_text(event['text'])}</td>"
                   f"<td>{_text(event['component'])}</td></tr>" for event in events)
    checked = "".join(f"<tr><td>{'✓' if check['ok'] else '✗'}</td><td>{_text(check['name'])}</td></tr>"
                      for check in checks)
    problems = "".join(f"<pre>{_text(problem)}</pre>" for problem in outcome.problems)
    measures = "".join(f"<tr><td>{_text(one['metric'])}</td><td>{_text(one['system'])}</td>"
                       f"<td class=n>{one['mean']:.2f} {_text(one['unit'])}</td></tr>" for one in result.records())
    shown = ("linux-image", "xen-hypervisor", "xen-utils-4", "ppvmm")
    versions = "".join(f"<tr><td>{_text(name)}</td><td>{_text(version)}</td></tr>"
                       for name, version in result.versions.items() if name.startswith(shown))
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>PpVMM demo</title>
<meta name="viewport" content="width=device-width"><style>{STYLE}</style>
<h1>A stock Xen host on {_text(store)}</h1>
<p class="lead">Debian's unpatched Xen, Debian's kernels and an unmodified <code>xl</code>; the host's XenStore is
{_text(store)}. The machine was emulated by QEMU; times are the machine's own, counted from the start of Xen.</p>
<p><span class="verdict {'ok' if outcome.ok else 'bad'}">{verdict}</span> &nbsp; the whole command took
{seconds:.0f} s</p>
{problems}
<h2>Timeline</h2>
{timeline(events)}
<table><tr><th>seconds</th><th>what</th><th>seen by</th></tr>{rows}</table>
{f'<h2>What the network outside got</h2>{traffic}' if traffic else ''}
<h2>What was checked, in dom0 and in the guest</h2><table>{checked}</table>
{f'<h2>Measured</h2><table>{measures}</table>' if measures else ''}
<h2>What ran</h2><table>{versions}</table>
<p class="lead">Console logs of Xen, dom0, the guest and the unikernel, on the same clock, are beside this page.</p>
</html>
"""
    path = outcome.folder / "report.html"
    path.write_text(page, encoding="utf-8")
    return path


def timeline(events: list[dict]) -> str:
    """An SVG with one lane per component; labels that would overlap go to the next row of their lane."""
    if not events:
        return "<p>Nothing was observed.</p>"
    last = max(event["t_ms"] for event in events) or 1.0
    scale = (WIDTH - LEFT - RIGHT) / last
    height = TOP + LANE * len(LANES) + 30
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="timeline of the demo" '
             'font-family="system-ui, sans-serif">']
    parts += _axis(last, scale, height)
    for index, (name, _) in enumerate(LANES):
        y = TOP + LANE * index + 20
        parts.append(f'<text x="16" y="{y + 5}" font-size="14" font-weight="600" fill="{COLOURS[index]}">{name}</text>')
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#d9dee3" stroke-width="2"/>')
        parts += _lane([event for event in events if _lane_of(event) == index], y, scale, COLOURS[index])
    return "".join(parts) + "</svg>"


def _axis(last: float, scale: float, height: int) -> list[str]:
    step = next(size for size in (500, 1000, 2000, 5000, 10000, 20000, 50000, 100000) if last / size <= 14)
    parts = []
    for tick in range(0, int(last) + 1, step):
        x = LEFT + tick * scale
        parts.append(f'<line x1="{x:.1f}" y1="{TOP - 8}" x2="{x:.1f}" y2="{height - 8}" stroke="#eef1f4"/>')
        parts.append(f'<text x="{x:.1f}" y="20" font-size="12" fill="#7b8794" text-anchor="middle">'
                     f'{tick / 1000:g} s</text>')
    return parts


def _lane(events: list[dict], y: int, scale: float, colour: str) -> list[str]:
    parts, ends = [], []
    for event in events:
        x = LEFT + event["t_ms"] * scale
        label = f"{_short(event['what'])} · {event['t_ms'] / 1000:.2f}"
        width = 7.0 * len(label)
        start = min(max(x - 6, LEFT - 20), WIDTH - width - 8)
        row = next((row for row, end in enumerate(ends) if start > end + 8), len(ends))
        ends[row:row + 1] = [start + width]
        text_y = y + 24 + 17 * row
        parts.append(f'<line x1="{x:.1f}" y1="{y}" x2="{x:.1f}" y2="{text_y - 11}" stroke="{colour}" opacity=".45"/>')
        parts.append(f'<circle cx="{x:.1f}" cy="{y}" r="6" fill="{colour}"/>')
        parts.append(f'<text x="{start:.1f}" y="{text_y}" font-size="12.5" fill="#1f2933" '
                     f'stroke="#fff" stroke-width="4" paint-order="stroke">{_text(label)}</text>')
    return parts


def _lane_of(event: dict) -> int:
    return next((index for index, (_, names) in enumerate(LANES) if event["component"] in names), len(LANES) - 1)


def _short(what: str) -> str:
    return {"guest userland talks to XenStore": "talks to XenStore", "guest saw dom0's answer": "saw dom0's answer",
            "guest userland up": "userland up", "dom0 userland up": "userland up"}.get(what, what)


def _text(value) -> str:
    return html.escape(str(value))
