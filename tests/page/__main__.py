# SPDX-License-Identifier: Apache-2.0
"""Measure the page, or make pictures of it.

``python -m tests.page --measure``: how long it takes until something is seen,
and from a key pressed in the search field until its effect is. The bounds are
those for 2,000 hosts.

``python -m tests.page --screenshots``: the pictures of the documentation.

``python -m tests.page --views FOLDER``: few hosts and many, light, dark,
narrow and printed, to be looked at.
"""

from __future__ import annotations

import argparse
import pathlib
import statistics
import sys
import tempfile
from collections.abc import Callable
from typing import Any, NamedTuple

from hvfilter.osc.report_page import page
from tests.page import base, browser, devtools, fleet

IMAGES = pathlib.Path(__file__).parents[2] / 'doc' / 'source' / 'images'
HOSTS = 2000
ROUNDS = 5
TYPED = 'cmp-west-r1'

MOST_KIB = 200
"""Of a picture."""

FIRST_PAINT_MS = 1000
KEY_MS = 50

_WATCH_KEYS = """
window.waits = [];
addEventListener('keydown', (event) => {
  const pressed = event.timeStamp;
  // After the frame that shows the effect.
  requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => waits.push(performance.now() - pressed);
    channel.port2.postMessage(0);
  });
}, {capture: true});
"""

_PAINTED = """
new Promise((done) => new PerformanceObserver((list, observer) => {
  observer.disconnect();
  done(list.getEntriesByName('first-contentful-paint')[0].startTime);
}).observe({type: 'paint', buffered: true}))
"""


class Case(NamedTuple):
    """A page to measure."""

    title: str
    content: Callable[[], dict[str, Any]]
    fragment: str = ''


CASES = (
    Case(f'{HOSTS:,} hosts', lambda: fleet.content(HOSTS)),
    Case(
        f'{HOSTS:,} hosts, not folded', lambda: fleet.content(HOSTS), 'fold=0'
    ),
    Case(f'{HOSTS:,} hosts, none alike', lambda: fleet.kinds(HOSTS)),
    Case(f'{HOSTS * 5:,} hosts', lambda: fleet.content(HOSTS * 5)),
)


def measure(tab: browser.Page, folder: pathlib.Path) -> bool:
    """Print a row for each case; whether all bounds are kept.

    The bounds hold for the cases with as many hosts as :data:`HOSTS`.
    """
    print(
        f'{"":28} {"":>6} {"first paint":>12} {"key pressed, ms":>25} '
        f'{"of it CPU ms":>17}'
    )
    print(
        f'{"":28} {"KiB":>6} {"ms (median)":>12} {"median":>13} '
        f'{"worst":>11} {"median":>9} {"worst":>7}'
    )
    kept = True
    for case in CASES:
        file = folder / 'fleet.html'
        file.write_text(page.render(case.content()))
        paints, waits, spent = [], [], []
        for _ in range(ROUNDS):
            tab.open(file, case.fragment)
            paints.append(tab.evaluate(_PAINTED))
            spent += _type(tab)
            waits += tab.evaluate('waits')
        paint, key = statistics.median(paints), statistics.median(waits)
        if str(HOSTS * 5) not in case.title.replace(',', ''):
            kept = kept and paint < FIRST_PAINT_MS and key < KEY_MS
        print(
            f'{case.title:28} {file.stat().st_size >> 10:6} {paint:12.0f} '
            f'{key:13.1f} {max(waits):11.1f} '
            f'{statistics.median(spent):9.1f} {max(spent):7.1f}',
            flush=True,
        )
    print(
        f'First paint below {FIRST_PAINT_MS} ms and keys below {KEY_MS} ms '
        f'with {HOSTS:,} hosts: {"yes" if kept else "NO"}'
    )
    return kept


def _type(tab: browser.Page) -> list[float]:
    """What each key costs the page's thread, in ms of processor time.

    On a machine that does other work too, that says more than the time that
    passed.
    """
    tab.send('Performance.enable', timeDomain='threadTicks')
    tab.evaluate(_WATCH_KEYS)
    tab.evaluate("document.getElementById('search').focus()")
    tab.settle()
    spent = []
    for char in TYPED:
        before = _task_ms(tab)
        tab.write(char)
        tab.settle()
        spent.append(_task_ms(tab) - before)
    tab.send('Performance.disable')
    return spent


def _task_ms(tab: browser.Page) -> float:
    metrics = tab.send('Performance.getMetrics')['metrics']
    [seconds] = [
        each['value'] for each in metrics if each['name'] == 'TaskDuration'
    ]
    return 1000.0 * float(seconds)


def _shot(
    tab: browser.Page,
    file: pathlib.Path,
    size: tuple[int, int],
    scheme: str = 'light',
    fragment: str = '',
    *,
    capacity: bool = True,
    opened: str = '',
) -> bytes:
    """A picture of one view.

    :param capacity: whether the chart is open
    :param opened: the row to open
    """
    tab.show_at(*size)
    tab.prefer(scheme)
    tab.open(file, fragment)
    if opened or not capacity:
        tab.evaluate("document.getElementById('capacity').open = false")
    if opened:
        tab.evaluate(f"document.getElementById('{opened}').click()")
    return tab.picture()


def screenshots(tab: browser.Page, folder: pathlib.Path) -> bool:
    """Those of the documentation; whether all are small."""
    small = True
    file = folder / 'fleet.html'
    file.write_text(page.render(fleet.content(HOSTS)))
    IMAGES.mkdir(exist_ok=True)
    for name, picture in (
        ('report-page', _shot(tab, file, (1280, 860))),
        (
            'report-page-row',
            _shot(
                tab,
                file,
                (1280, 860),
                'light',
                'lacks=nested',
                opened='kind-3',
            ),
        ),
        (
            'report-page-dark',
            _shot(tab, file, (1280, 860), 'dark', capacity=False),
        ),
    ):
        path = IMAGES / f'{name}.png'
        path.write_bytes(picture)
        small = small and len(picture) <= MOST_KIB << 10
        print(f'{path}: {len(picture) >> 10} KiB')
    print(f'At most {MOST_KIB} KiB each: {"yes" if small else "NO"}')
    return small


def views(tab: browser.Page, folder: pathlib.Path, into: pathlib.Path) -> None:
    """Every way in which the page is shown."""
    into.mkdir(exist_ok=True, parents=True)
    for count in (20, HOSTS):
        file = folder / f'{count}.html'
        file.write_text(page.render(fleet.content(count)))
        for scheme in ('light', 'dark'):
            for name, size in (
                ('wide', browser.WIDE),
                ('narrow', browser.NARROW),
            ):
                _shot(tab, file, size, scheme)
                picture = tab.picture(whole=True)
                (into / f'{count}-{scheme}-{name}.png').write_bytes(picture)
        (into / f'{count}.pdf').write_bytes(tab.printed())
    print(f'Views are in {into}')


def main() -> int:
    """0 if all went well and all bounds are kept."""
    parser = argparse.ArgumentParser(
        prog='python -m tests.page',
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--measure', action='store_true')
    parser.add_argument('--screenshots', action='store_true')
    parser.add_argument('--views', metavar='FOLDER', type=pathlib.Path)
    options = parser.parse_args()
    if not (options.measure or options.screenshots or options.views):
        parser.error('name at least one of --measure, --screenshots, --views')
    program = devtools.program()
    if program is None:
        print(f'Not done: {base.NO_BROWSER}', file=sys.stderr)
        return 1
    kept = True
    with (
        tempfile.TemporaryDirectory() as folder,
        devtools.started(program) as connection,
    ):
        tab = browser.Page(connection)
        if options.screenshots:
            kept = screenshots(tab, pathlib.Path(folder))
        if options.views:
            views(tab, pathlib.Path(folder), options.views)
        if options.measure:
            kept = measure(tab, pathlib.Path(folder)) and kept
    return 0 if kept else 1


if __name__ == '__main__':
    sys.exit(main())
