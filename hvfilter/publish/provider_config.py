# SPDX-License-Identifier: Apache-2.0
"""Publish through a provider.yaml that nova-compute reads.

For hosts that cannot connect to Placement themselves. nova-compute reads the
file when it starts, adds the traits, adds them again at each update, and never
removes any; the notes of this publisher state what remains to be done.

Source: Nova ``nova/compute/provider_config.py`` and
``nova/compute/resource_tracker.py``, ``_merge_provider_configs``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hvfilter.model import catalogue, dated
from hvfilter.model.nested_registers import is_trait as is_nested_set
from hvfilter.model.problem import Problem
from hvfilter.publish import atomic_file, base, bounded_yaml
from hvfilter.publish.left_over import EVERY_NODE
from hvfilter.rules.traits import DesiredTraits

LEFT_BEHIND = 'hvfilter_left_behind'
"""A key under ``meta``, where Nova allows any: names that were in the file
once, are not now, and may still be in Placement."""

UNKNOWN_SINCE = 'hvfilter_unknown_since'
"""Another key there: since when names in the file have been UNKNOWN, as
:mod:`hvfilter.model.dated` writes it."""


@dataclasses.dataclass(frozen=True)
class Content:
    """The content of the file.

    :ivar traits: names that nova-compute is to add
    :ivar left_behind: names that it may have added before and should not now
    :ivar unknown_since: names with a week, one for each of the traits that is
        UNKNOWN now. The week of the last report is never among the traits:
        nova-compute would add every week that it ever read.
    """

    traits: frozenset[str] = frozenset()
    left_behind: frozenset[str] = frozenset()
    unknown_since: frozenset[str] = frozenset()


class ProviderConfigPublisher(base.Publisher):
    """Writes a provider configuration file for nova-compute."""

    name = 'provider-config'

    def publish(
        self, context: base.PublishContext, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.publish`."""
        path = self._path()
        base.refuse_ironic(self.conf)
        others = tuple(_others(path))
        _refuse_second_file(path, others, context.identity)
        raw = atomic_file.read(path)
        old = Content() if raw is None else parse(raw, path)
        new = merge(old, context.desired, removed=_removed(context, raw))
        text = render(new)
        changed = raw != text.encode()
        if changed and not dry_run:
            mode = int(self.conf.hvfilter.provider_config_mode, 8)
            atomic_file.replace(path, text.encode(), mode)
        return base.Outcome(
            self.name,
            str(path),
            added=new.traits - old.traits,
            removed=old.traits - new.traits,
            kept=new.traits & old.traits,
            changed=changed,
            content=text,
            notes=(
                *((_RESTART,) if old.traits != new.traits else ()),
                *_left_behind(new.left_behind, 'publish'),
            ),
            unverified=context.desired.unverified(new.traits),
            returning=new.left_behind,
        )

    def withdraw(
        self, identity: base.Identity, *, dry_run: bool = False
    ) -> base.Outcome:
        """See :meth:`hvfilter.publish.base.Publisher.withdraw`."""
        path = self._path()
        raw = atomic_file.read(path)
        if raw is None:
            return base.Outcome(self.name, str(path))
        old = parse(raw, path)
        if not dry_run:
            atomic_file.remove(path)
        gone = old.traits | old.left_behind
        return base.Outcome(
            self.name,
            str(path),
            removed=old.traits,
            changed=True,
            notes=(_RESTART, *_left_behind(gone, 'withdraw')),
            returning=gone,
        )

    def _path(self) -> Path:
        path = Path(self.conf.hvfilter.provider_config_file)
        if path.suffix != '.yaml':
            raise Problem(
                f'nova-compute does not read {path}',
                'Set [hvfilter] provider_config_file to a name that ends in '
                '".yaml".',
            )
        return path


_NEVER_ADDED = catalogue.UNKNOWN_TRAITS
"""The file could not remove such a trait once the state is known."""


def merge(
    old: Content, desired: DesiredTraits, *, removed: frozenset[str] | None
) -> Content:
    """The new content of the file. Pure.

    :param removed: what another publisher just removed from the provider;
        None: none did, and what was once added is still there.

    What had to be removed was added by a nova-compute that read an older
    file, if there was one.
    """
    after = desired.applied_to(old.traits | old.unknown_since)
    marks = {name: dated.parse(name) for name in after}
    names = (
        frozenset(name for name, mark in marks.items() if mark is None)
        - _NEVER_ADDED
    )
    since = {
        name
        for name, mark in marks.items()
        if mark is not None and mark.kind is dated.Kind.UNKNOWN
    }
    if removed is None:
        gone = old.traits | old.left_behind
    else:
        gone = old.traits | frozenset(filter(_in_files, removed))
    return Content(names, gone - names, frozenset(since))


def _in_files(name: str) -> bool:
    """Whether such a name can be among the traits of a file."""
    return name in catalogue.STATE_TRAITS or is_nested_set(name)


def render(content: Content) -> str:
    """The file's text: YAML in Nova's schema 1.0."""
    lines = [
        '# Written by "hvfilter publish"; changes made here are lost.',
        'meta:',
        "  schema_version: '1.0'",
    ]
    for key, names in (
        (LEFT_BEHIND, content.left_behind),
        (UNKNOWN_SINCE, content.unknown_since),
    ):
        if names:
            lines.append(f'  {key}:')
            lines += [f'    - {name}' for name in sorted(names)]
    lines += [
        'providers:',
        '  - identification:',
        f"      uuid: '{EVERY_NODE}'",
        '    traits:',
        # Without a name it must still be an array, or nova-compute stops.
        '      additional:' if content.traits else '      additional: []',
    ]
    lines += [f'        - {name}' for name in sorted(content.traits)]
    return '\n'.join([*lines, ''])


def parse(raw: bytes, path: Path) -> Content:
    """The content of a file that hvfilter wrote.

    :raises hvfilter.model.problem.Problem: hvfilter did not write it.
    """
    try:
        document = bounded_yaml.load(raw)
        meta = document['meta']
        (provider,) = document['providers']
        named = provider['traits']['additional']
        left_behind = meta.get(LEFT_BEHIND, [])
        since = meta.get(UNKNOWN_SINCE, [])
        ours = (
            set(document) == {'meta', 'providers'}
            and set(meta) <= {'schema_version', LEFT_BEHIND, UNKNOWN_SINCE}
            and set(provider) == {'identification', 'traits'}
            and provider['identification'] == {'uuid': EVERY_NODE}
            and set(provider['traits']) == {'additional'}
            and all(map(_in_files, {*named, *left_behind} - _NEVER_ADDED))
            and {*since} == catalogue.own(since)
        )
    except (
        AttributeError,
        KeyError,
        TypeError,
        ValueError,
    ):
        ours = False
    if not ours:
        raise Problem(
            f'{path} was not written by hvfilter, or was changed since then',
            'Move additions to a separate file, or remove the file; or set '
            '[hvfilter] provider_config_file to another name.',
        )
    return Content(frozenset(named), frozenset(left_behind), frozenset(since))


def _removed(
    context: base.PublishContext, raw: bytes | None
) -> frozenset[str] | None:
    """What the publisher before this one removed from the provider."""
    for outcome in context.previous:
        if outcome.publisher == 'placement' and not outcome.problem:
            # Without an older file nova-compute has no hvfilter trait to add.
            return frozenset() if raw is None else outcome.removed
    return None


def _others(path: Path) -> Iterator[tuple[Path, Any]]:
    """The providers that other files in the folder identify."""
    for other in sorted(path.parent.glob('*.yaml')):
        if other.name == path.name or other.name.startswith('.'):
            continue
        raw = atomic_file.read(other) or b''
        if len(raw) > bounded_yaml.LIMIT:
            raise Problem(
                f'{other} is larger than {bounded_yaml.LIMIT >> 10} KiB, so '
                'it was not read, and it may name this resource provider',
                'Move the file out of the folder, or use the publisher '
                'placement instead of provider-config.',
            )
        try:
            document = bounded_yaml.load(raw)
            for provider in document.get('providers', ()):
                for identified in provider['identification'].values():
                    if isinstance(identified, str):
                        yield other, identified
        except (AttributeError, KeyError, TypeError, ValueError):
            # nova-compute reports what is wrong with it.
            continue


def _refuse_second_file(
    path: Path, others: tuple[tuple[Path, Any], ...], identity: base.Identity
) -> None:
    uuids = {text.strip().lower() for _, text in identity.compute_ids}
    for other, identified in others:
        if identified == EVERY_NODE:
            raise Problem(
                f'{other} configures {EVERY_NODE}, too, and nova-compute '
                'does not start with two such files',
                'Name the resource providers in it one by one, or use the '
                'publisher placement instead of provider-config.',
            )
        if identified in identity.names or str(identified).lower() in uuids:
            raise Problem(
                f'{other} already configures the resource provider '
                f'{identified}, so nova-compute would ignore {path}',
                'Use the publisher placement instead of provider-config.',
            )


_RESTART = 'Restart nova-compute: it only reads the file when it starts.'


def _left_behind(names: frozenset[str], command: str) -> tuple[str, ...]:
    if not names:
        return ()
    return (
        f'{", ".join(sorted(names))}: still in Placement, or added again by '
        'nova-compute, which removes no trait and keeps adding those that it '
        'read when it started. Restart nova-compute, then run '
        f'"hvfilter {command} --to placement" with credentials for Placement, '
        'or set the other traits again with "openstack '
        '--os-placement-api-version 1.6 resource provider trait set".',
    )
