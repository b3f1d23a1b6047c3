# SPDX-License-Identifier: Apache-2.0
"""Prints tables, and as the last line one JSON object.

Real host states and Nova's own handlers, in this process; then the whole of
select_destinations on a real Nova and a real Placement, unless told not to.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import warnings

from nova import objects

from hvfilter.scheduler import nova_client
from tests.bench import tables

SIZES = (1_000, 10_000, 100_000)
ABSOLUTE_SIZES = (1_000, 10_000)


def main() -> None:
    parser = argparse.ArgumentParser(prog='bench', description=__doc__)
    parser.add_argument(
        '--sizes', type=int, nargs='+', default=SIZES, help='numbers of hosts'
    )
    parser.add_argument(
        '--no-select-destinations',
        action='store_true',
        help='leave out the real Nova and Placement',
    )
    parser.add_argument(
        '--only-select-destinations',
        action='store_true',
        help='leave out the rest',
    )
    parser.add_argument(
        '--seconds',
        type=float,
        default=600.0,
        help='no longer than this for select_destinations',
    )
    options = parser.parse_args()
    # What is logged is written, as in a cloud, but not among the tables.
    logging.basicConfig(filename=os.devnull, level=logging.INFO, force=True)
    warnings.simplefilter('ignore')
    objects.register_all()
    found: dict[str, object] = {}
    names = ('providers_with_trait', 'carried_traits', 'expired_reports')
    real = {name: getattr(nova_client, name) for name in names}
    if not options.only_select_destinations:
        found.update(tables.filters_alone(sorted({*options.sizes, tables.AT})))
    if not options.no_select_destinations:
        from tests.bench import select_destinations

        for name, function in real.items():
            setattr(nova_client, name, function)
        cost = select_destinations.measure(options.seconds)
        found.update(select_destinations.report(cost))
        found.update(select_destinations.report_each_second(ABSOLUTE_SIZES))
    print(json.dumps(found))


if __name__ == '__main__':
    main()
