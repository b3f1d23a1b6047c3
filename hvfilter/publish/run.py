# SPDX-License-Identifier: Apache-2.0
"""Ask every chosen publisher in turn; one that fails stops no other."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable, Sequence
from typing import Any

from oslo_config import cfg

from hvfilter.publish import base

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Result:
    """How all publishers fared.

    :ivar outcomes: one for each publisher, in their order
    :ivar failures: what was raised, by the publisher's name
    """

    outcomes: tuple[base.Outcome, ...]
    failures: tuple[tuple[str, base.Failed], ...]

    @property
    def transient(self) -> bool:
        """There were failures, and all of them may pass by themselves."""
        return bool(self.failures) and all(
            failed.transient for _, failed in self.failures
        )


def load(
    names: Sequence[str], conf: cfg.ConfigOpts
) -> tuple[base.Publisher, ...]:
    """The publishers of these names, in this order.

    :raises hvfilter.publish.base.Failed: a name is not registered, or is
        twice, or its class cannot be loaded.
    """
    import stevedore

    def not_loaded(_: Any, entry_point: Any, error: BaseException) -> None:
        raise base.Failed(
            f'The publisher {entry_point.name} cannot be loaded: {error}',
            f'Install what {entry_point.value} needs, or take it out of '
            '[hvfilter]publishers.',
        ) from error

    manager = stevedore.NamedExtensionManager(
        base.NAMESPACE,
        list(names),
        on_load_failure_callback=not_loaded,
        warn_on_missing_entrypoint=False,
    )
    known: dict[str, Any] = {}
    for extension in manager:
        if extension.name in known:
            raise base.Failed(
                f'Two publishers are registered as {extension.name} in '
                f'{base.NAMESPACE}',
                'Uninstall one of the packages.',
            )
        known[extension.name] = extension.plugin
    for name in names:
        if name not in known:
            every = {each.name for each in manager.list_entry_points()}
            raise base.Failed(
                f'There is no publisher named {name}',
                f'Known are: {", ".join(sorted(every))}. A new one is seen '
                'after its package is installed.',
            )
    # Once each, however often it was named.
    return tuple(known[name](conf) for name in dict.fromkeys(names))


def publish(
    publishers: Iterable[base.Publisher],
    occasion: base.Occasion,
    *,
    dry_run: bool = False,
) -> Result:
    """Publish with each; the later ones are told how the earlier fared."""
    outcomes: list[base.Outcome] = []
    failures: list[tuple[str, base.Failed]] = []
    for publisher in publishers:
        told = dataclasses.replace(
            occasion, earlier=occasion.earlier + tuple(outcomes)
        )
        act = publisher.preview if dry_run else publisher.publish
        try:
            outcomes.append(act(told))
        except base.Failed as failed:
            failures.append((publisher.name, failed))
            outcomes.append(
                base.Outcome(publisher.name, '', failure=str(failed))
            )
    return Result(tuple(outcomes), tuple(failures))


def withdraw(
    publishers: Iterable[base.Publisher],
    identity: base.Identity,
    *,
    dry_run: bool = False,
) -> Result:
    """Leave nothing of ours behind with each."""
    outcomes: list[base.Outcome] = []
    failures: list[tuple[str, base.Failed]] = []
    for publisher in publishers:
        try:
            outcomes.append(publisher.withdraw(identity, dry_run=dry_run))
        except base.Failed as failed:
            failures.append((publisher.name, failed))
            outcomes.append(
                base.Outcome(publisher.name, '', failure=str(failed))
            )
    return Result(tuple(outcomes), tuple(failures))
