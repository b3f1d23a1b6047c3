# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for the values that rooms exchange."""

from hypothesis import strategies as st

from hvfilter.host import facts
from hvfilter.host.answers import Refusal
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.catalogue import CATALOGUE
from hvfilter.model.finding import (
    Finding,
    HostReport,
    Observation,
    Override,
    StageFinding,
    State,
    Strength,
)
from tests.recordings import KvmAnswers, a_snapshot

WORDS = st.text(max_size=20)
U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)
CPUS = st.integers(0, 70)
# Surrogates too: bytes of names that are not UTF-8.
PATHS = st.text(st.integers(0, 0xDFFF).map(chr), max_size=12).map(
    lambda name: f'/{name}'
)

REFUSALS = st.builds(
    Refusal,
    st.sampled_from(['EACCES', 'ENOENT', 'EIO', 'ENODEV']),
    WORDS,
    st.text(min_size=1, max_size=5).map(lambda text: f'odd {text}')
    | st.just(''),
)

_CPUINFO_LINES = st.sampled_from(
    ['processor\t: 0', 'processor\t: 1', 'flags\t: a b', 'a', '', ': ', 'x:']
)
CONTENTS = st.one_of(
    st.binary(max_size=60),
    st.text(max_size=60).map(lambda text: text.encode('utf-8', 'replace')),
    st.lists(_CPUINFO_LINES, max_size=30).map(
        lambda lines: '\n'.join(lines).encode()
    ),
)
REGISTERS = st.builds(facts.CpuidRegs, U32, U32, U32, U32)
STATS = st.builds(
    facts.FileStat,
    st.sampled_from(facts.FileKind),
    st.integers(0, 0o7777),
    WORDS,
    WORDS,
    st.lists(WORDS, max_size=3).map(tuple),
)
TEXTS = st.lists(WORDS, max_size=3).map(tuple)
OPTIONS = st.dictionaries(
    WORDS,
    st.dictionaries(WORDS, st.lists(WORDS, max_size=3).map(tuple), max_size=3),
    max_size=3,
)
SMOKE_RUNS = st.builds(
    facts.SmokeRun,
    st.lists(st.tuples(WORDS, WORDS), max_size=4).map(tuple),
    st.lists(st.builds(facts.Sample, U64, U64, U64), max_size=3).map(tuple),
    U64,
)
ENTRIES = st.builds(facts.CpuidEntry, U32, U32, REGISTERS)
LEAVES = st.tuples(st.integers(0, 8), st.integers(0, 2))
FEW_REGISTERS = st.sampled_from(
    [facts.CpuidRegs(0, 0, 0, 0), facts.CpuidRegs(1, 2, 3, 2**32 - 1)]
)


def _perhaps_refused(values, **kwargs):
    return st.dictionaries(PATHS, values | REFUSALS, max_size=4, **kwargs)


SNAPSHOTS = st.builds(
    a_snapshot,
    origin=st.builds(Provenance, st.sampled_from(Making), WORDS, WORDS, WORDS),
    machine=st.builds(facts.Machine, WORDS, WORDS),
    files=_perhaps_refused(CONTENTS),
    directories=_perhaps_refused(
        st.lists(WORDS, max_size=5).map(lambda names: tuple(sorted(names)))
    ),
    stats=_perhaps_refused(STATS),
    options=_perhaps_refused(OPTIONS),
    versions=_perhaps_refused(TEXTS),
    groups=_perhaps_refused(TEXTS),
    cpuid=st.dictionaries(
        CPUS,
        st.dictionaries(
            LEAVES, FEW_REGISTERS | REFUSALS, min_size=1, max_size=5
        ),
        max_size=8,
    ),
    msrs=st.dictionaries(
        CPUS,
        st.dictionaries(U32, U64 | REFUSALS, min_size=1, max_size=3),
        max_size=4,
    ),
    kvm=st.builds(
        KvmAnswers,
        st.none() | INT32 | REFUSALS,
        st.dictionaries(U32, INT32 | REFUSALS, max_size=4),
        st.none() | REFUSALS | st.lists(ENTRIES, max_size=4).map(tuple),
        st.none() | REFUSALS | st.dictionaries(U32, U64, max_size=4),
    ),
    smoke=st.none() | REFUSALS | SMOKE_RUNS,
)


@st.composite
def _findings(draw, capability):
    def stage_finding(stage):
        observations = st.builds(
            Observation,
            st.just(capability.key),
            st.just(stage),
            st.sampled_from(State),
            st.sampled_from(Strength),
            WORDS,
            WORDS,
            WORDS,
            WORDS,
            WORDS,
        )
        return st.builds(
            StageFinding,
            st.just(stage),
            st.sampled_from(State),
            WORDS,
            WORDS,
            st.lists(observations, max_size=2).map(tuple),
            st.booleans(),
        )

    return Finding(
        capability.key,
        tuple(draw(stage_finding(stage)) for stage in capability.stages),
        draw(st.none() | st.builds(Override, st.sampled_from(State), WORDS)),
    )


@st.composite
def reports(draw, catalogue=CATALOGUE):
    """Any report; few capabilities of it vary, to be quick."""
    plain = tuple(
        StageFinding(stage, State.UNKNOWN, 'not looked at', '', ())
        for stage in catalogue[0].stages
    )
    varied = draw(
        st.sets(st.sampled_from([row.key for row in catalogue]), max_size=3)
    )
    findings = []
    for row in catalogue:
        if row.key in varied:
            findings.append(draw(_findings(row)))
        else:
            stages = tuple(s for s in plain if s.stage in row.stages)
            findings.append(Finding(row.key, stages))
    return HostReport(draw(WORDS), draw(WORDS), draw(WORDS), tuple(findings))


JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@st.composite
def damaged(draw, document):
    """A JSON document with one place of it replaced or removed."""
    import copy

    whole = copy.deepcopy(document)
    at = whole
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = draw(st.sampled_from(keys))
        inner = at[key]
        deeper = isinstance(inner, dict | list) and inner
        if deeper and draw(st.booleans()):
            at = inner
            continue
        if draw(st.booleans()):
            at[key] = draw(JSON_VALUES)
        else:
            del at[key]
        return whole
