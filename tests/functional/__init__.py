# SPDX-License-Identifier: Apache-2.0
"""Tests on a real Nova and a real Placement in this process.

Nova decides at its first import whether it runs on green or on native
threads, so the choice is made here, before any other module of this package
is imported. The default is what nova-scheduler does in the release at hand;
``OS_NOVA_DISABLE_EVENTLET_PATCHING=true`` or ``false`` chooses otherwise.
"""

import logging
import os
import sys
from importlib import metadata

CHOICE = 'OS_NOVA_DISABLE_EVENTLET_PATCHING'
FIRST_NATIVE = 33
"""The Nova release whose scheduler runs on native threads by default."""


def _choose() -> None:
    release = int(metadata.version('nova').partition('.')[0])
    if CHOICE not in os.environ and release >= FIRST_NATIVE:
        # Nova refuses native threads once anything has imported eventlet.
        native = 'eventlet' not in sys.modules
        os.environ[CHOICE] = 'true' if native else 'false'
    # Patches, or forbids to patch, in all of the process.
    import nova.tests.functional  # noqa: F401


_choose()
# Told after a test has ended, when nothing keeps log lines any more.
logging.getLogger('nova.thread_pool_factory').setLevel(logging.WARNING)
