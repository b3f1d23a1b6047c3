# SPDX-License-Identifier: Apache-2.0
"""hvfilter in a real OpenStack, every part of it a process of its own.

``python -m tests.cloud [--keep]``
"""

from __future__ import annotations

import argparse
import fcntl
import signal
import sys
import time

from tests.cloud import checks, cloud, layout, processes, servers
from tests.lab import debian

LOCK = layout.ROOT / '.cloud.lock'


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make cloud', description=__doc__)
    parser.add_argument(
        '--keep',
        action='store_true',
        help='after the checks leave it running, until Ctrl-C',
    )
    return parser.parse_args()


def tell(text: str) -> None:
    print(text, flush=True)


def keep(place: layout.Layout) -> None:
    """Tell how to talk to it, and wait."""
    tell(
        f"""
The cloud goes on until Ctrl-C. To talk to it:

    export OS_CLIENT_CONFIG_FILE={place.clouds_yaml} OS_CLOUD=hvfilter
    openstack hypervisor list     # pip install python-openstackclient
    {layout.program('hvfilter')} prepare

Logs are in {place.logs}, configuration in {place.folder / 'etc'}."""
    )
    signal.pause()


def run(here: cloud.Cloud) -> bool:
    """Bring it up and check everything."""
    began = time.monotonic()
    cloud.up(here, tell)
    tell(f'{time.monotonic() - began:5.1f} s  until the cloud was up\n')
    outcomes = []
    for title, check in checks.ALL:
        outcome = checks.examine(title, check, here)
        tell(str(outcome))
        outcomes.append(outcome)
    wrong = [outcome.title for outcome in outcomes if outcome.wrong]
    tell(
        f'cloud: {len(outcomes) - len(wrong)} checks ok, {len(wrong)} wrong, '
        f'in {time.monotonic() - began:.0f} s'
        + (f'; logs are in {here.layout.logs}' if wrong else '')
    )
    return not wrong


def main() -> int:
    """0 only if all is as it should be."""
    options = parsed()
    # However it ends, all processes end too.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda number, _: sys.exit(128 + number))
    with LOCK.open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell('Another "make cloud" runs in this checkout.')
            return 1
        try:
            installed = debian.install(servers.NEEDED, 'the cloud')
            if installed:
                tell(f'installed {" ".join(installed)}')
            place = layout.fresh()
            with (
                processes.Processes(place.logs) as beneath,
                processes.Processes(place.logs) as running,
            ):
                right = run(cloud.Cloud(place, beneath, running))
                if options.keep:
                    keep(place)
        except (debian.Missing, processes.Failed) as failed:
            print(f'cloud: {failed}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
