# SPDX-License-Identifier: Apache-2.0
"""Whether a resource provider belongs to this host, and errors if not.

A host is identified by the uuid in nova-compute's compute_id file (Nova
``nova/virt/node.py``) and by its name. If the two disagree, nothing is
written: the file may be a copy of another host's.
"""

from __future__ import annotations

from collections.abc import Sequence

from hvfilter.placement import client, errors


def has_name(provider: str, names: Sequence[str]) -> bool:
    """Whether a provider's name is one of a host's names. Pure.

    The domain is compared only if both are known: libvirt, from which
    nova-compute takes the name, may have got another answer from DNS.
    """
    name = provider.lower().rstrip('.')
    known = {each.lower().rstrip('.') for each in names}
    short = name.partition('.')[0]
    if '.' in name and any('.' in each for each in known):
        return name in known
    return short in {each.partition('.')[0] for each in known}


def uuid_of_other_host(
    origin: str,
    names: Sequence[str],
    provider: client.Provider,
    own: Sequence[client.Provider],
) -> errors.WrongProvider:
    """The error for a uuid whose provider has another host's name.

    :param origin: the file that the uuid was read from.
    :param own: the providers that have one of this host's names.
    """
    here = ' or '.join(names)
    problem = (
        f'{origin} contains the uuid of the resource provider '
        f'{provider.name} ({provider.uuid}), but this host is named {here}'
    )
    if own:
        mine = own[0]
        return errors.WrongProvider(
            f'{problem}, and {mine.name} has a resource provider of its own '
            f'({mine.uuid})',
            f'The file was copied from {provider.name}: stop nova-compute, '
            f'write {mine.uuid} into {origin} and start it again. '
            'Nothing was changed.',
        )
    return errors.WrongProvider(
        f'{problem}; no resource provider has that name',
        f'If this host is a copy of {provider.name}, stop nova-compute, '
        f'remove {origin} and start it again: it gets a uuid of its '
        f'own. If this host was renamed, give it the name {provider.name} '
        'back, since nova-compute does not start under another one either; '
        'or set [hvfilter] provider_name to it. Nothing was changed.',
    )


def uuid_without_provider(
    origin: str, uuid: str, other: client.Provider
) -> errors.WrongProvider:
    """The error for a uuid that no provider has, though one has the name.

    :param other: the provider that has a name of this host.
    """
    return errors.WrongProvider(
        f'{origin} contains the uuid {uuid}, which no resource '
        f'provider has; the one named {other.name} has {other.uuid}',
        'The host was probably reinstalled. nova-compute cannot create '
        'a second resource provider of that name: stop it, write '
        f'{other.uuid} into {origin} and start it again; or, if no '
        'guest of it is left, delete the old compute service ("openstack '
        'compute service delete") and the old resource provider.',
    )


def ambiguous_names(
    providers: Sequence[client.Provider],
) -> errors.WrongProvider:
    """The error for names of this host that several providers have."""
    listed = ' and '.join(f'{each.name} ({each.uuid})' for each in providers)
    return errors.WrongProvider(
        f'Two resource providers have a name of this host: {listed}',
        'One is left over from before the host name changed. Set [hvfilter] '
        'provider_name to the one that "openstack hypervisor list" shows, '
        'and delete the other with "openstack resource provider delete". '
        'Nothing was changed.',
    )
