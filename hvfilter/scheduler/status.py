# SPDX-License-Identifier: Apache-2.0
"""``hvfilter-status upgrade check``: is all in place on this controller?"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

_MISSING = (
    'hvfilter-status: {error}. It checks a nova-scheduler: install hvfilter '
    'into the Python environment of Nova, and run it there.'
)

_UNUSABLE = 255
"""As of oslo.upgradecheck: no result."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; the options are those of nova-status.

    :returns: 0: all is well; 1: see the warnings; 2: something does not work;
        255: nothing could be checked
    """
    given = list(sys.argv[1:] if argv is None else argv)
    # Of Nova's libraries, about themselves.
    warnings.simplefilter('ignore')
    try:
        import nova.conf
        from oslo_config import cfg
        from oslo_log import log as logging
        from oslo_upgradecheck import upgradecheck
    except ImportError as error:
        print(_MISSING.format(error=error), file=sys.stderr)
        return _UNUSABLE
    from hvfilter.scheduler import upgrade_checks
    from hvfilter.scheduler.checks import requests

    conf = nova.conf.CONF
    logging.register_options(conf)
    try:
        status = upgradecheck.main(
            conf, 'nova', upgrade_checks.Checks(requests.configure), given
        )
    except cfg.Error as error:
        print(
            f'hvfilter-status: {error}. Name the configuration of '
            'nova-scheduler with --config-file or --config-dir.',
            file=sys.stderr,
        )
        return _UNUSABLE
    return int(status)
