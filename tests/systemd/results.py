# SPDX-License-Identifier: Apache-2.0
"""Results of checks, one line each."""


class Results:
    """Counts what is wrong in one release."""

    def __init__(self, release: str) -> None:
        self._release = release
        self.wrong = 0

    def check(self, what: str, right: object, seen: object = '') -> None:
        """Print one result, and the end of what was seen if it is wrong."""
        print(
            f'{"ok   " if right else "WRONG"} {self._release}: {what}',
            flush=True,
        )
        if not right:
            self.wrong += 1
            print(f'      {str(seen)[-1500:]}', flush=True)
