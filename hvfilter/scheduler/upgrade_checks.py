# SPDX-License-Identifier: Apache-2.0
"""The list of checks, in the order in which their faults are corrected."""

from __future__ import annotations

from collections.abc import Callable

from oslo_log import log as logging
from oslo_upgradecheck import upgradecheck

from hvfilter.scheduler.checks import cloud, configuration, requests

LOG = logging.getLogger(__name__)


def _reporting_failure(
    check: Callable[[], upgradecheck.Result],
) -> Callable[[upgradecheck.UpgradeCommands], upgradecheck.Result]:
    """One check that breaks does not hide what the others find."""

    def run(commands: upgradecheck.UpgradeCommands) -> upgradecheck.Result:
        try:
            return check()
        except Exception as error:
            LOG.exception('The check %s failed.', check.__name__)
            return upgradecheck.Result(
                upgradecheck.Code.FAILURE,
                f'The check itself failed: {type(error).__name__}: {error}. '
                'Report this as a bug of hvfilter.',
            )

    return run


class Checks(upgradecheck.UpgradeCommands):
    """What oslo.upgradecheck runs.

    :param prepare: called when the configuration is read, before the checks
    """

    def __init__(self, prepare: Callable[[], None] = lambda: None) -> None:
        super().__init__()
        self._prepare = prepare

    def check(self) -> upgradecheck.Code:
        """See ``UpgradeCommands``."""
        self._prepare()
        return super().check()

    display_title = 'hvfilter Upgrade Check Results'
    _upgrade_checks = tuple(
        (title, _reporting_failure(check))
        for title, check in (
            ('HardwareVirtFilter is loadable', configuration.filter_loads),
            ('HardwareVirtFilter is enabled', configuration.filter_enabled),
            ('Options of [hvfilter]', configuration.options),
            ('Options without effect', configuration.no_effect),
            ('Validation of extra specs', configuration.validator),
            ('Placement', cloud.reachable),
            ('Trait names', cloud.names),
            ('Reports of compute nodes', cloud.hosts),
            ('OWNER_NOVA', cloud.owner),
            ('Flavors', requests.flavors),
            ('Aggregates', requests.aggregates),
        )
    )
