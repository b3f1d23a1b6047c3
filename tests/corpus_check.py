# SPDX-License-Identifier: Apache-2.0
"""Compare our reading of others' recordings with libvirt's own answer.

``python -m tests.corpus_check FOLDER``, where FOLDER holds libvirt's
``cputestdata`` as libvirt-cputestdata/ and recorded cpuinfo files as
cpuinfo/. Exit code 1 when something disagrees or cannot be explained.

What libvirt says of a processor is in NAME-host.xml: a feature that is
listed, or that belongs to the named CPU model. NAME.json, of some, is what
QEMU offered on that host, VMX features one by one; there the ``msr`` elements
of NAME-enabled.xml follow QEMU's convention, features in eax.
"""

from __future__ import annotations

import dataclasses
import json
import pathlib
import re
import sys
from collections.abc import Iterator
from xml.etree import ElementTree

from hvfilter.host.facts import CpuidRegs, Machine
from hvfilter.host.recorded import RecordedHost
from hvfilter.host.snapshot import Making, Provenance
from hvfilter.model.finding import HostReport
from hvfilter.probes.host_report import probe_host
from tests.recordings import a_snapshot

SVM_FEATURES = {
    'npt': 'npt',
    'lbrv': 'lbrv',
    'nrips': 'nrip-save',
    'avic': 'avic',
    'vls': 'v-vmsave-vmload',
    'vgif': 'vgif',
    'vnmi': 'vnmi',
}
VMX_FEATURES = {
    'ept': ('vmx-ept',),
    'vpid': ('vmx-vpid',),
    'unrestricted_guest': ('vmx-unrestricted-guest',),
    'apicv': ('vmx-apicv-register', 'vmx-apicv-vid'),
    'posted_interrupts': ('vmx-posted-intr',),
    'shadow_vmcs': ('vmx-shadow-vmcs',),
    'pml': ('vmx-pml',),
    'tsc_scaling': ('vmx-tsc-scaling',),
    'mbec': ('vmx-mbec',),
}

_SVM_MODELS = re.compile(r'Opteron_G[2-5](-v1)?|EPYC.*|Dhyana.*|phenom')
_SVM_SUBFEATURES = {
    # Which models of libvirt's cpu_map hold a sub-feature themselves; all
    # others list it beside the model.
    'npt': re.compile(r'EPYC-(IBPB|v[2-9]|Rome.*|Milan.*|Genoa.*)|Dhyana.*'),
    'nrip-save': re.compile(
        r'EPYC(-IBPB|-v[1-9]|-Rome.*|-Milan.*|-Genoa.*)?|Dhyana.*'
        r'|Opteron_G[45](-v1)?'
    ),
}

_ARCHS = {
    'x86_64': 'x86_64',
    'aarch64': 'aarch64',
    'armv6l': 'armv6l',
    'ppc': 'ppc64',
    'ppc64': 'ppc64',
    's390x': 's390x',
}


@dataclasses.dataclass(frozen=True)
class Case:
    """One comparison.

    :ivar ours: our answer; None when there is none
    :ivar theirs: libvirt's; None when it can only be guessed
    """

    name: str
    key: str
    ours: bool | None
    theirs: bool | None
    source: str

    @property
    def agrees(self) -> bool:
        return self.theirs is None or self.ours is self.theirs


def report_of(
    cpuid: dict[tuple[int, int], CpuidRegs], msrs: dict[int, int]
) -> HostReport:
    """Our reading of one processor, by its registers only."""
    return probe_host(
        RecordedHost(
            a_snapshot(
                origin=Provenance(Making.RECORDED, note='libvirt'),
                machine=Machine('x86_64', ''),
                files={'/sys/devices/system/cpu/online': b'0\n'},
                cpuid={0: dict(cpuid)},
                msrs={0: dict(msrs)},
            )
        )
    )


def processor_has(report: HostReport, key: str) -> bool | None:
    """The answer at stage cpu."""
    state = report[key].stages[0].state.value
    return {'present': True, 'absent': False}.get(state)


def read_cpudata(
    path: pathlib.Path,
) -> tuple[dict[tuple[int, int], CpuidRegs], dict[int, tuple[int, int]]]:
    """CPUID by leaf and subleaf, and MSRs as (eax, edx)."""
    cpuid = {}
    msrs = {}
    for element in ElementTree.parse(path).getroot():
        number = {
            name: int(value, 16) for name, value in element.attrib.items()
        }
        if element.tag == 'cpuid':
            leaf = number['eax_in'], number.get('ecx_in', 0)
            cpuid[leaf] = CpuidRegs(
                *(
                    number[register]
                    for register in ('eax', 'ebx', 'ecx', 'edx')
                )
            )
        elif element.tag == 'msr':
            msrs[number['index']] = number['eax'], number['edx']
    return cpuid, msrs


def read_cpu(path: pathlib.Path) -> tuple[str, set[str]]:
    """Model, and the features listed beside it."""
    root = ElementTree.parse(path).getroot()
    listed = {feature.get('name', '') for feature in root.iter('feature')}
    return root.findtext('model') or '', listed


def read_properties(path: pathlib.Path) -> dict[str, bool]:
    """The features that QEMU offered, from its query-cpu-model-expansion."""
    document, _ = json.JSONDecoder().raw_decode(path.read_text().lstrip())
    return {
        name: value
        for name, value in document['return']['model']['props'].items()
        if isinstance(value, bool)
    }


def processors(folder: pathlib.Path) -> list[str]:
    """The names of recorded processors with libvirt's answer."""
    ending = '-host.xml'
    return sorted(
        path.name[: -len(ending)]
        for path in folder.glob(f'*{ending}')
        if (folder / f'{path.name[: -len(ending)]}.xml').exists()
    )


def compare_registers(folder: pathlib.Path) -> Iterator[Case]:
    """VMX, SVM and SVM's sub-features, from CPUID."""
    for name in processors(folder):
        cpuid, _ = read_cpudata(folder / f'{name}.xml')
        report = report_of(cpuid, {})
        model, listed = read_cpu(folder / f'{name}-host.xml')
        yield Case(
            name,
            'vtx',
            processor_has(report, 'vtx'),
            'vmx' in listed,
            'listed by libvirt',
        )
        svm = 'svm' in listed or bool(_SVM_MODELS.fullmatch(model))
        yield Case(
            name, 'amdv', processor_has(report, 'amdv'), svm, f'model {model}'
        )
        for key, feature in SVM_FEATURES.items():
            holds = _SVM_SUBFEATURES.get(feature)
            theirs: bool | None = feature in listed
            source = 'listed by libvirt'
            if not theirs and holds and holds.fullmatch(model):
                theirs, source = True, f'in the model {model}'
            yield Case(name, key, processor_has(report, key), theirs, source)


def compare_vmx(folder: pathlib.Path) -> Iterator[Case]:
    """VT-x's sub-features, where QEMU recorded the VMX registers."""
    for name in processors(folder):
        enabled = folder / f'{name}-enabled.xml'
        if not enabled.exists():
            continue
        _, theirs = read_cpudata(enabled)
        if 0x48B not in theirs:
            continue
        cpuid, _ = read_cpudata(folder / f'{name}.xml')
        msrs = {0x480: 0x00DA0400_00000010}
        # QEMU keeps the true controls only, and the allowed-1 half in eax.
        for register, source in ((0x481, 0x48D), (0x482, 0x48E), (0x48B,) * 2):
            msrs[register] = theirs[source][0] << 32
        report = report_of(cpuid, msrs)
        offered = read_properties(folder / f'{name}.json')
        for key, features in VMX_FEATURES.items():
            answers = [offered.get(feature) for feature in features]
            yield Case(
                name,
                key,
                processor_has(report, key),
                None if None in answers else all(answers),
                'QEMU on that host',
            )


def compare_cpuinfo(folder: pathlib.Path) -> Iterator[Case]:
    """cpuinfo of any architecture: no crash, and the word it holds."""
    for path in sorted(folder.glob('linux-*.cpuinfo')):
        arch = path.name.split('-')[1]
        content = path.read_bytes()
        report = probe_host(
            RecordedHost(
                a_snapshot(
                    origin=Provenance(Making.RECORDED, note=path.name),
                    machine=Machine(_ARCHS.get(arch, arch), ''),
                    files={'/proc/cpuinfo': content},
                )
            )
        )
        words = set(content.decode('utf-8', 'replace').split())
        answer = {
            'x86_64': bool(words & {'vmx', 'svm'}),
            's390x': 'sie' in words,
            'ppc64': True if 'PowerNV' in words else None,
        }.get(arch)
        yield Case(
            path.name, 'hvm', processor_has(report, 'hvm'), answer, 'words'
        )


def main(arguments: list[str]) -> int:
    """Print every case that disagrees, and how many agree."""
    if len(arguments) != 1:
        print('usage: python -m tests.corpus_check FOLDER', file=sys.stderr)
        return 2
    folder = pathlib.Path(arguments[0])
    failed = 0
    for title, cases in (
        ('CPUID', list(compare_registers(folder / 'libvirt-cputestdata'))),
        ('VMX registers', list(compare_vmx(folder / 'libvirt-cputestdata'))),
        ('cpuinfo', list(compare_cpuinfo(folder / 'cpuinfo'))),
    ):
        decided = [case for case in cases if case.theirs is not None]
        wrong = [case for case in cases if not case.agrees]
        failed += len(wrong)
        for case in wrong:
            print(
                f'{title}: {case.name}: {case.key}: ours {case.ours}, '
                f"libvirt's {case.theirs} ({case.source})"
            )
        hosts = len({case.name for case in cases})
        print(
            f'{title}: {hosts} recordings, {len(decided) - len(wrong)} of '
            f'{len(decided)} answers agree, {len(cases) - len(decided)} '
            'without an answer to compare with'
        )
        by_key: dict[str, list[bool]] = {}
        for case in decided:
            by_key.setdefault(case.key, []).append(case.agrees)
        for key, agreeing in by_key.items():
            print(f'    {key}: {sum(agreeing)} of {len(agreeing)}')
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
