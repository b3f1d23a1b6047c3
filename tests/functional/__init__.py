# SPDX-License-Identifier: Apache-2.0
"""Tests on a real Nova and a real Placement in this process.

Nova decides at its first import whether it runs on green or on native
threads, so the choice is made here, before any other module of this package
is imported. ``OS_NOVA_DISABLE_EVENTLET_PATCHING=true`` chooses native
threads, ``false`` green ones; unset, it is as :data:`FIRST_NATIVE` says.
"""

import importlib
import logging
import os
import sys
import warnings
from importlib import metadata

CHOICE = 'OS_NOVA_DISABLE_EVENTLET_PATCHING'
FIRST_NATIVE = 33
"""The first Nova whose scheduler runs on native threads by default."""

NOVA = int(metadata.version('nova').partition('.')[0])


def _choose() -> None:
    if CHOICE not in os.environ and NOVA >= FIRST_NATIVE:
        # Nova refuses native threads once anything has imported eventlet.
        native = 'eventlet' not in sys.modules
        os.environ[CHOICE] = 'true' if native else 'false'
    with warnings.catch_warnings():
        # That eventlet will not last is Nova's matter.
        warnings.simplefilter('ignore')
        # They patch, or forbid to patch, in all of the process: in Nova 32
        # the latter does.
        for name in ('nova.tests.functional', 'nova.test'):
            importlib.import_module(name)


def native() -> bool:
    """Whether Nova runs on native threads here."""
    patcher = sys.modules.get('eventlet.patcher')
    return patcher is None or not patcher.is_monkey_patched('thread')


_choose()
FIXTURES_ARE_GREEN = NOVA < 34 and os.environ.get(CHOICE) == 'true'
"""Nova runs on native threads, but its fixtures need help there."""

# Told after a test has ended, when nothing keeps log lines any more.
logging.getLogger('nova.thread_pool_factory').setLevel(logging.WARNING)
