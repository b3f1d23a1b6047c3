# SPDX-License-Identifier: Apache-2.0
"""The demonstration's cloud: what happens, without a word to anybody."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable, Sequence
from importlib import metadata

import fixtures

from hvfilter.model.verdict import Verdict
from tests.demo.guests import MEMORY_MB, Guest
from tests.demo.hosts import Candidate
from tests.demo.progress import Progress
from tests.functional import base


@dataclasses.dataclass(frozen=True)
class Landing:
    """Where a guest landed.

    :ivar host: None for nowhere
    :ivar fault: what Nova said then
    :ivar told: what hvfilter's filter wrote to nova-scheduler's log
    """

    host: str | None
    fault: str = ''
    told: str = ''


@dataclasses.dataclass
class Outcome:
    """All that was seen; guests by name."""

    without: dict[str, Landing] = dataclasses.field(default_factory=dict)
    with_it: dict[str, Landing] = dataclasses.field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = dataclasses.field(
        default_factory=dict
    )


class DemoCloud(base.CloudTestCase):
    """A test case for the sake of Nova's fixtures; run by hand."""

    extra_filters = ()

    def __init__(
        self,
        candidates: Sequence[Candidate],
        guests: Sequence[Guest],
        log: logging.Handler,
        progress: Progress,
    ) -> None:
        super().__init__('run_demo')
        # Nova's test case forgets public attributes when it ends.
        self._candidates = candidates
        self._guests = guests
        self._log = log
        self._progress = progress
        self._outcome = Outcome()

    @property
    def outcome(self) -> Outcome:
        """What was seen so far."""
        return self._outcome

    def setUp(self) -> None:
        nova, placement = map(
            metadata.version, ('nova', 'openstack-placement')
        )
        with self._progress.step(
            f'Starting Nova {nova} (API, conductor, scheduler) and '
            f'Placement {placement}'
        ):
            super().setUp()
            self.useFixture(
                fixtures.LogHandler(self._log, nuke_handlers=False)
            )

    def run_demo(self) -> None:
        """Everything, in order."""
        machines = [candidate.machine for candidate in self._candidates]
        with self._progress.step(f'Starting {len(machines)} nova-computes'):
            self.start_hosts(*machines)
        with self._progress.step(
            'Publishing what was found on them as traits'
        ) as note:
            traits = 0
            for candidate in self._candidates:
                outcome = self.publish(candidate.place.name, candidate.report)
                traits += len(outcome.added)
            note(f'{traits} traits on {len(machines)} providers')
        with self._progress.step(
            f'Booting {len(self._guests)} guests without hvfilter'
        ) as note:
            self._boot_all(self._outcome.without, note)
        with self._progress.step(
            f'Restarting nova-scheduler with {base.FILTER} in enabled_filters'
        ):
            self.set_filters((base.FILTER,))
            self.restart_scheduler()
        with self._progress.step(
            f'Booting {len(self._guests)} guests with hvfilter'
        ) as note:
            self._boot_all(self._outcome.with_it, note)
        for guest in self._guests:
            self._outcome.verdicts[guest.name] = self.verdicts(
                guest.specs, guest.image
            )

    def _boot_all(
        self, landings: dict[str, Landing], note: Callable[[str], None]
    ) -> None:
        servers = []
        for guest in self._guests:
            log = self.log_of('hvfilter')
            server = self.boot_any(
                self.flavor(MEMORY_MB, **guest.specs),
                self.image(**guest.image),
            )
            fault = server.get('fault', {}).get('message', '')
            told = log.output.strip()
            landings[guest.name] = Landing(self.host_of(server), fault, told)
            servers.append(server)
            note(guest.name)
        for server in servers:
            self.admin_api.delete_server(server['id'])
        self.until(
            lambda: not self.admin_api.get_servers(detail=False),
            'the guests to be gone',
        )
