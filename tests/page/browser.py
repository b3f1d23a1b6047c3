# SPDX-License-Identifier: Apache-2.0
"""One page in the browser: what a person does with it, and what it shows."""

from __future__ import annotations

import base64
import json
import pathlib
from collections.abc import Mapping
from typing import Any

from tests.page.devtools import BrowserError, Connection

_KEYS = {
    'ArrowDown': 40,
    'ArrowUp': 38,
    'End': 35,
    'Enter': 13,
    'Escape': 27,
    'Home': 36,
    'Tab': 9,
}
"""Windows virtual key codes, which Chromium wants beside the names."""

_TEXT = {'Enter': '\r'}

WIDE = (1280, 800)
NARROW = (400, 800)


class Page:
    """A tab. Every script error and every request is kept.

    :ivar errors: of scripts and of the Content-Security-Policy
    :ivar requests: addresses of all that the page asked for
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        # Of its own: pages of files share one storage otherwise.
        self._context = connection.call('Target.createBrowserContext')[
            'browserContextId'
        ]
        target = connection.call(
            'Target.createTarget',
            url='about:blank',
            browserContextId=self._context,
        )
        self._session: str = connection.call(
            'Target.attachToTarget', targetId=target['targetId'], flatten=True
        )['sessionId']
        for domain in ('Page', 'Runtime', 'Network', 'Log'):
            self.send(f'{domain}.enable')
        self.show_at(*WIDE)

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """One command of the protocol, for this tab."""
        return self._connection.call(method, self._session, **parameters)

    def close(self) -> None:
        """Close the tab, and forget what it stored."""
        self._connection.call(
            'Target.disposeBrowserContext', browserContextId=self._context
        )

    def permit(self, *permissions: str) -> None:
        """As if a person had been asked, and had agreed."""
        self._connection.call(
            'Browser.grantPermissions',
            permissions=permissions,
            browserContextId=self._context,
        )

    def open(self, file: pathlib.Path, fragment: str = '') -> None:
        """Load a file, and wait until it is loaded."""
        # What differs only in the fragment would not be loaded again.
        self._go('about:blank')
        self._connection.events.clear()
        self._go(f'{file.resolve().as_uri()}#{fragment}')

    def _go(self, url: str) -> None:
        found = self.send('Page.navigate', url=url)
        if 'errorText' in found:
            raise BrowserError(f'{url}: {found["errorText"]}')
        self._connection.wait('Page.loadEventFired')

    @property
    def errors(self) -> list[str]:
        """What went wrong since the page was opened."""
        self.evaluate('0')
        found = []
        for name, parameters in self._connection.events:
            if name == 'Runtime.exceptionThrown':
                details = parameters['exceptionDetails']
                found.append(json.dumps(details)[:2000])
            elif name == 'Log.entryAdded':
                found.append(str(parameters['entry']['text']))
            elif name == 'Page.javascriptDialogOpening':
                found.append(f'a dialog: {parameters["message"]}')
        return found

    @property
    def requests(self) -> list[str]:
        """What was asked for since the page was opened."""
        self.evaluate('0')
        return [
            str(parameters['request']['url'])
            for name, parameters in self._connection.events
            if name == 'Network.requestWillBeSent'
        ]

    def evaluate(self, expression: str) -> Any:
        """The value of an expression, a promise's too, as JSON has it.

        :raises BrowserError: it threw
        """
        found = self.send(
            'Runtime.evaluate',
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        if 'exceptionDetails' in found:
            raise BrowserError(json.dumps(found['exceptionDetails'])[:2000])
        return found['result'].get('value')

    def texts(self, selector: str) -> list[str]:
        """What each element that matches shows."""
        found: list[str] = self.evaluate(
            f'[...document.querySelectorAll({json.dumps(selector)})]'
            '.map((each) => each.innerText.trim())'
        )
        return found

    def text(self, selector: str) -> str:
        """What the only element that matches shows."""
        found = self.texts(selector)
        if len(found) != 1:
            raise BrowserError(f'{len(found)} elements match {selector}')
        return found[0]

    @property
    def focused(self) -> str:
        """The id of the element that has the focus."""
        return str(self.evaluate('document.activeElement.id'))

    # What a person does

    def click(self, selector: str) -> None:
        """Click into the middle of an element, wherever it is."""
        box = self.evaluate(
            f'(() => {{ const found = document.querySelector('
            f'{json.dumps(selector)});'
            "found.scrollIntoView({block: 'center', behavior: 'instant'});"
            'const box = found.getBoundingClientRect();'
            'return [box.x + box.width / 2, box.y + box.height / 2]; })()'
        )
        for kind in ('mousePressed', 'mouseReleased'):
            self.send(
                'Input.dispatchMouseEvent',
                type=kind,
                x=box[0],
                y=box[1],
                button='left',
                clickCount=1,
            )

    def press(self, key: str, modifiers: int = 0) -> None:
        """Press a key that is no letter, and let it go.

        :param modifiers: 8 with Shift
        """
        common = {
            'key': key,
            'code': key,
            'windowsVirtualKeyCode': _KEYS[key],
            'modifiers': modifiers,
        }
        if key in _TEXT:
            down = {'type': 'keyDown', 'text': _TEXT[key]}
        else:
            down = {'type': 'rawKeyDown'}
        self.send('Input.dispatchKeyEvent', **common, **down)
        self.send('Input.dispatchKeyEvent', type='keyUp', **common)

    def write(self, text: str) -> None:
        """Press the key of each character."""
        for char in text:
            self.send(
                'Input.dispatchKeyEvent', type='keyDown', key=char, text=char
            )
            self.send('Input.dispatchKeyEvent', type='keyUp', key=char)

    def choose(self, selector: str, value: str) -> None:
        """Choose an option of a select element."""
        self.evaluate(
            '((element, value) => { element.value = value; '
            "element.dispatchEvent(new Event('change', {bubbles: true})); })"
            f'(document.querySelector({json.dumps(selector)}), '
            f'{json.dumps(value)})'
        )

    # How it is shown

    def show_at(self, width: int, height: int, scale: float = 1.0) -> None:
        """On a screen of this size, in CSS pixels."""
        self.send(
            'Emulation.setDeviceMetricsOverride',
            width=width,
            height=height,
            deviceScaleFactor=scale,
            mobile=False,
        )

    def prefer(self, scheme: str) -> None:
        """As for a person who prefers ``light`` or ``dark``."""
        features = [{'name': 'prefers-color-scheme', 'value': scheme}]
        self.send('Emulation.setEmulatedMedia', features=features)
        # It takes effect with the next frame.
        self.settle()

    def settle(self) -> None:
        """Wait until what was done is on the screen."""
        self.evaluate(
            'new Promise((done) => requestAnimationFrame('
            '() => requestAnimationFrame(() => done(0))))'
        )

    def picture(self, *, whole: bool = False) -> bytes:
        """A PNG of what is on the screen.

        :param whole: of all of the page instead
        """
        more: Mapping[str, Any] = {}
        if whole:
            size = self.send('Page.getLayoutMetrics')['cssContentSize']
            more = {
                'captureBeyondViewport': True,
                'clip': {**size, 'x': 0, 'y': 0, 'scale': 1},
            }
        found = self.send('Page.captureScreenshot', format='png', **more)
        return base64.b64decode(found['data'])

    def printed(self) -> bytes:
        """A PDF, as the page has its paper."""
        found = self.send(
            'Page.printToPDF', printBackground=False, preferCSSPageSize=True
        )
        return base64.b64decode(found['data'])
