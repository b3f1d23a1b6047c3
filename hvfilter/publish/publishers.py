# SPDX-License-Identifier: Apache-2.0
"""Run the configured publishers in turn; a failure does not stop others."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Iterable, Sequence

from oslo_config import cfg

from hvfilter import plugins
from hvfilter.model.problem import Problem
from hvfilter.publish import base

LOG = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Unusable:
    """Takes the place of a publisher that cannot be loaded, and fails."""

    name: str
    problem: Problem

    def publish(
        self, _: base.PublishContext, *, dry_run: bool = False
    ) -> base.Outcome:
        """Fail."""
        raise self.problem

    def withdraw(
        self, _: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """Fail."""
        raise self.problem


Chosen = base.Publisher | Unusable


def load(names: Sequence[str], conf: cfg.ConfigOpts) -> tuple[Chosen, ...]:
    """The publishers of these names, in this order, each once.

    One that is not registered, is registered twice or cannot be loaded is
    :class:`Unusable`.
    """
    known = plugins.load(base.NAMESPACE, names)

    def chosen(name: str) -> Chosen:
        if name in known.problems:
            return Unusable(name, known.problems[name])
        if name not in known.loaded:
            return Unusable(name, _unknown(name))
        try:
            publisher: base.Publisher = known.loaded[name](conf)
        except Exception as error:
            return Unusable(name, _unexpected(name, error))
        return publisher

    return tuple(chosen(name) for name in dict.fromkeys(names))


def _unknown(name: str) -> Problem:
    registered, _ = plugins.entry_points(base.NAMESPACE)
    return Problem(
        f'[hvfilter] publishers: there is no publisher named {name!r}',
        f'Use one of: {", ".join(sorted(registered))}; or install the package '
        'of the publisher.',
        code='unknown_publisher',
    )


def _unexpected(name: str, error: Exception) -> Problem:
    """For any other exception; its text may contain a secret."""
    LOG.debug('The publisher %s failed', name, exc_info=error)
    return Problem(
        f'The publisher {name} failed unexpectedly: {type(error).__name__}',
        'This is a bug in the publisher: run this command with --debug and '
        'report the traceback.',
        code='bug',
    )


def publish(
    publishers: Iterable[Chosen],
    context: base.PublishContext,
    *,
    dry_run: bool = False,
) -> tuple[base.Outcome, ...]:
    """Publish with each; later ones get the results of the earlier."""
    outcomes = context.previous
    for publisher in publishers:
        known = dataclasses.replace(context, previous=outcomes)
        act = functools.partial(publisher.publish, known, dry_run=dry_run)
        outcomes += (_outcome(publisher.name, act),)
    return outcomes[len(context.previous) :]


def withdraw(
    publishers: Iterable[Chosen],
    identity: base.Identity,
    *,
    dry_run: bool = False,
) -> tuple[base.Outcome, ...]:
    """Remove everything that was published, with each."""
    return tuple(
        _outcome(
            publisher.name,
            functools.partial(publisher.withdraw, identity, dry_run=dry_run),
        )
        for publisher in publishers
    )


def _outcome(name: str, act: Callable[[], base.Outcome]) -> base.Outcome:
    try:
        return act()
    except Problem as error:
        problem = error
    except cfg.Error as error:
        problem = Problem(
            str(error).rstrip('.'),
            'Correct the configuration.',
            code='misconfigured',
        )
    except Exception as error:
        problem = _unexpected(name, error)
    return base.Outcome(name, '', problem=problem)
