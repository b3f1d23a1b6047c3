# SPDX-License-Identifier: Apache-2.0
"""Names from the cloud are text, whatever they are made of."""

from __future__ import annotations

import dataclasses

from hvfilter.model.plain import plain
from hvfilter.osc.report_page import content
from tests.page import base, fleet

NAMES = (
    '<script>window.harm = 1</script>',
    '</script><script>window.harm = 1</script>',
    '</title></style><img src=x onerror="window.harm = 1">',
    '<!--<script>',
    ']]>',
    '"onmouseover="window.harm = 1',
    "' onfocus='window.harm = 1' autofocus='",
    '${window.harm = 1}',
    '$data $script ${title}',
    '&lt;b&gt; &amp; &#60;',
    'javascript:window.harm=1',
    'https://example.org/x.png',
    '\u202egnp.tsoh\u202c',
    'left\u200fright',
    'zero\u200bwidth',
    'line\u2028separator',
    'nul\0and\x1b[31mescape',
    'שרת-1',
    'ホスト',
    'x' * 300,
    '__proto__',
    'constructor',
)


class HostileTest(base.PageTestCase):
    def page_of_names(self) -> dict[str, object]:
        """Hosts, zones, aggregates, processors and notes of such names."""
        hosts = []
        for number, name in enumerate(NAMES):
            model = fleet.MODELS[number % len(fleet.MODELS)]
            made = fleet.host(
                number, model._replace(vendor=name, machine=name), name
            )
            hosts.append(
                dataclasses.replace(
                    made,
                    zone=name,
                    aggregates=(fleet.aggregate(name, name),),
                )
            )
        about = content.About(NAMES[1], 0.0, '1', 2, NAMES[0], NAMES)
        return content.document(hosts, {}, about)

    def test_names_are_shown_and_do_nothing(self) -> None:
        self.show(self.page_of_names(), 'fold=0')
        shown = self.page.evaluate(
            "[...document.querySelectorAll('#body .names')]"
            '.map((each) => each.textContent)'
        )
        self.assertEqual(sorted(map(plain, NAMES)), sorted(shown))
        self.assertNotIn('\u202e', ''.join(shown))
        self.page.evaluate(
            "for (const row of document.querySelectorAll('button.row'))"
            ' { row.focus(); row.click(); }'
        )
        for place in range(len(NAMES)):
            self.page.evaluate(
                f"(() => {{ const zones = document.getElementById('zone'); "
                f'zones.selectedIndex = {place + 1}; '
                "zones.dispatchEvent(new Event('change')); })()"
            )
            self.assertEqual(1, len(self.names()))
        self.assertIsNone(self.page.evaluate('window.harm ?? null'))
        self.assertEqual([], self.page.errors)
        self.assertEqual(1, len(self.page.requests))
        self.assertEqual(
            [2, 0, 1],
            [
                self.page.evaluate(
                    f"document.querySelectorAll('{tag}').length"
                )
                for tag in ('script', 'img', 'style')
            ],
        )

    def test_title_is_text(self) -> None:
        self.show(self.page_of_names())
        self.assertEqual(NAMES[1], self.page.evaluate('document.title'))
        self.assertEqual(NAMES[1], self.page.text('h1'))

    def test_command_quotes_what_a_shell_would_read(self) -> None:
        self.show(self.page_of_names())
        for zone, quoted in (
            (NAMES[6], "\\' onfocus=\\'"),
            (NAMES[7], "'${window.harm = 1}'"),
        ):
            self.page.choose('#zone', zone)
            command = self.page.text('#command-line code')
            self.assertIn(quoted.replace("\\'", "'\\''"), command)

    def test_policy_stops_what_would_get_in_nevertheless(self) -> None:
        self.show(fleet.content(3))
        for act, directive in (
            (
                "const made = document.createElement('script'); "
                "made.textContent = 'window.harm = 1'; "
                'document.body.append(made)',
                'script-src-elem',
            ),
            (
                # Some browsers look at a handler only when it is called.
                "document.body.setAttribute('onclick', 'window.harm = 1'); "
                'document.body.click()',
                'script-src-attr',
            ),
            ("fetch('https://example.org/').catch(() => 0)", 'connect-src'),
            ("new Image().src = 'https://example.org/'", 'img-src'),
        ):
            stopped = self.page.evaluate(
                'new Promise((done) => { document.addEventListener('
                "'securitypolicyviolation', (event) => "
                f'done(event.effectiveDirective), {{once: true}}); {act}; '
                "setTimeout(() => done('nothing was stopped'), 20000); })"
            )
            self.assertEqual(directive, stopped)
        self.assertIsNone(self.page.evaluate('window.harm ?? null'))
