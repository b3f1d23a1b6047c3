# SPDX-License-Identifier: Apache-2.0
"""Fuzz one target: ``python -m tests.fuzz.one TARGET [libFuzzer options]``."""

import logging
import sys

import atheris

with atheris.instrument_imports(include=['hvfilter']):
    from tests.fuzz.targets import TARGETS, probes


def main() -> None:
    """Never returns: libFuzzer exits."""
    logging.disable()
    with atheris.instrument_imports(include=['hvfilter']):
        probes()
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == '__main__':
    main()
