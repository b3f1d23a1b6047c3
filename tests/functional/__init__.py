# SPDX-License-Identifier: Apache-2.0
"""Tests on a real Nova and a real Placement in this process.

Nova decides at its first import whether it runs on green or on native
threads, so the choice is made here, before any other module of this package
is imported. ``OS_NOVA_DISABLE_EVENTLET_PATCHING=true`` chooses native
threads, ``false`` green ones; unset, it is as :data:`FIRST_NATIVE` says.
"""

import logging
import os
import sys
import warnings
from importlib import metadata

CHOICE = 'OS_NOVA_DISABLE_EVENTLET_PATCHING'
FIRST_NATIVE = 34
"""The first Nova that is tested on native threads.

nova-scheduler of 33 runs on them too, but the databases of that release's
fixtures are in memory, where native threads do not share them.
"""


def _choose() -> None:
    release = int(metadata.version('nova').partition('.')[0])
    if CHOICE not in os.environ and release >= FIRST_NATIVE:
        # Nova refuses native threads once anything has imported eventlet.
        native = 'eventlet' not in sys.modules
        os.environ[CHOICE] = 'true' if native else 'false'
    with warnings.catch_warnings():
        # That eventlet will not last is Nova's matter.
        warnings.simplefilter('ignore')
        # Patches, or forbids to patch, in all of the process.
        import nova.tests.functional  # noqa: F401


_choose()
# Told after a test has ended, when nothing keeps log lines any more.
logging.getLogger('nova.thread_pool_factory').setLevel(logging.WARNING)
