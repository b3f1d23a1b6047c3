# SPDX-License-Identifier: Apache-2.0
"""hvfilter in a real OpenStack, every part of it a process of its own.

``python -m tests.cloud [--keep] [--up] [--patient] [--only WORD]``
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import pathlib
import platform
import re
import signal
import sys
import time

from tests.cloud import (
    checks,
    cloud,
    guest_image,
    guests,
    installation,
    installing,
    layout,
    machines,
    processes,
    seed,
    servers,
    transcript,
)
from tests.lab import debian

LOCK = layout.ROOT / '.cloud.lock'


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog='make e2e', description=__doc__)
    parser.add_argument(
        '--keep',
        action='store_true',
        help='after the checks leave it running, until Ctrl-C',
    )
    parser.add_argument(
        '--up',
        action='store_true',
        help='only bring it up with hvfilter in it, and leave it running',
    )
    parser.add_argument(
        '--patient',
        action='store_true',
        help='outages of a minute instead of 15 s, and three minutes instead '
        'of 35 s in which nothing may come back: five minutes more',
    )
    parser.add_argument(
        '--if-possible',
        action='store_true',
        help='where it cannot run, say so and succeed',
    )
    parser.add_argument(
        '--only',
        action='append',
        default=[],
        metavar='WORD',
        help='only the checks that have this in their title, and those that '
        'install hvfilter; may be repeated',
    )
    return parser.parse_args()


def require() -> None:
    """What no package can bring.

    :raises Missing: it is not here
    """
    for lacking, remedy in (
        (os.geteuid() != 0, 'run it as root: hosts are made of namespaces'),
        (
            platform.machine() != 'x86_64',
            'run it on x86_64: the guest is a Linux for that',
        ),
        (
            not os.access('/dev/kvm', os.R_OK | os.W_OK),
            '/dev/kvm is needed: one of the hosts has virt_type = kvm',
        ),
        (
            _virtualizes(),
            'run it where KVM emulates, as on a virtual machine without '
            'nested virtualization: this processor has VT-x or AMD-V, so its '
            'KVM guests would run',
        ),
        (
            any(
                str(layout.ROOT).startswith(f'{each}/')
                for each in machines.OVERLAID
            ),
            f'put the checkout elsewhere than {layout.ROOT}: hosts have '
            f'their own {", ".join(machines.OVERLAID)}',
        ),
    ):
        if lacking:
            raise debian.Missing(remedy)


def _virtualizes() -> bool:
    flags = re.findall(
        r'^flags\s*:(.*)$',
        pathlib.Path('/proc/cpuinfo').read_text(),
        re.MULTILINE,
    )
    return any({'vmx', 'svm'} & set(each.split()) for each in flags)


def keep(place: layout.Layout, tell: transcript.Tell) -> None:
    """Tell how to talk to it, and wait."""
    tell(
        f"""
The cloud goes on until Ctrl-C. To talk to it:

    export OS_CLIENT_CONFIG_FILE={place.clouds_yaml} OS_CLOUD=hvfilter
    openstack hypervisor list     # pip install python-openstackclient

Logs are in {place.logs}, configuration in {place.folder / 'etc'}."""
    )
    signal.pause()


def prepared(tell: transcript.Tell) -> None:
    """What can be done before anything runs, and stays."""
    began = time.monotonic()
    installed = debian.install(servers.NEEDED, 'the cloud')
    if installed:
        tell(f'installed {" ".join(installed)}')
        tell(f'{time.monotonic() - began:5.1f} s  Debian packages')


@contextlib.contextmanager
def running(tell: transcript.Transcript):
    """The cloud, up and without hvfilter; ends with all of it."""
    machines.end_leftovers()
    place, filled = seed.plant()
    tell.keep_in(place.transcript)
    began = time.monotonic()
    binding = installation.bindings(place)
    installation.pip(place, 'uninstall', '-y', 'hvfilter')
    tell(f'{time.monotonic() - began:5.1f} s  {binding}')
    with (
        processes.Processes(place.logs) as beneath,
        machines.Machines(place) as hosts,
        processes.Processes(place.logs) as others,
    ):
        here = cloud.Cloud(place, beneath, hosts, others, tell)
        built: list[guest_image.GuestImage] = []
        here.together(
            lambda: cloud.up(here, filled=filled),
            lambda: built.append(_build(here)),
        )
        guests.upload(here, *built)
        yield here


def _build(here: cloud.Cloud) -> guest_image.GuestImage:
    """What is put into the cloud, made while that starts."""
    began = time.monotonic()
    here.wheel = installation.build_wheel(here.layout)
    built = guest_image.build(here.layout.folder)
    here.tell(
        f'{time.monotonic() - began:5.1f} s  {here.wheel.name}, and a guest '
        f'of {built.kernel.name} with a userland of '
        f'{built.ramdisk.stat().st_size >> 10} KiB'
    )
    return built


def run(here: cloud.Cloud, only: list[str]) -> bool:
    """Check everything; whether all is as it should be."""
    began = time.monotonic()
    outcomes: list[checks.Outcome] = []
    for lanes in checks.chosen(only):
        outcomes += checks.run(lanes, here)
    wrong = [outcome.title for outcome in outcomes if outcome.wrong]
    here.tell('')
    here.tell(
        f'{len(outcomes) - len(wrong)} checks ok, {len(wrong)} wrong, '
        f'in {time.monotonic() - began:.0f} s'
        + (
            f': {"; ".join(wrong)}; logs are in {here.layout.logs}'
            if wrong
            else ''
        )
    )
    here.tell(f'transcript: {here.layout.transcript}')
    return not wrong


def main() -> int:
    """0 only if all is as it should be."""
    options = parsed()
    # Or every start of a service would compile all that it imports.
    os.environ.pop('PYTHONDONTWRITEBYTECODE', None)
    tell = transcript.Transcript()
    right = True
    # However it ends, all processes end too.
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda number, _: sys.exit(128 + number))
    with LOCK.open('w') as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            tell('Another "make e2e" or "make cloud" runs in this checkout.')
            return 1
        try:
            require()
        except debian.Missing as missing:
            tell(f'NOT RUN: {missing}')
            return 0 if options.if_possible else 1
        try:
            prepared(tell)
            with running(tell) as here:
                if options.up:
                    installing.install(here)
                else:
                    here.patient = options.patient
                    right = run(here, options.only)
                if options.keep or options.up:
                    keep(here.layout, tell)
        except (debian.Missing, processes.Failed) as failed:
            print(f'e2e: {failed}', file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            return 130
    return 0 if right else 1


if __name__ == '__main__':
    sys.exit(main())
