# SPDX-License-Identifier: Apache-2.0
"""Our word on confidential guests beside that of the Nova that is installed.

Nova's own ``supports_*`` properties are asked, with what libvirt and the
kernel would say put in their places; we are asked about a recorded host on
which libvirt and the kernel would say it.
"""

import dataclasses
import itertools
import pathlib
import tempfile
from unittest import mock

import testtools
from nova import version
from nova.virt.libvirt import config as libvirt_config
from nova.virt.libvirt import host as libvirt_host

from hvfilter.model.finding import State
from hvfilter.probes.nova_confidential import CAPACITY, SINCE
from tests.hosts.made.hosts import amd_sev_snp, intel_tdx
from tests.hosts.make import report_on

RELEASE = int(version.version_string().split('.')[0])
PARAMETERS = (None, 'N', 'Y')
"""Of kvm_amd: not there, off, on."""

MODES = (None, 'host-model', 'host-passthrough', 'custom')


def supported(name, **values):
    """A feature of libvirt's domain capabilities; None where this Nova does
    not know it."""
    kind = getattr(libvirt_config, f'LibvirtConfigDomainCapsFeature{name}', 0)
    if not kind:
        return None
    feature = kind()
    for key, value in values.items():
        setattr(feature, key, value)
    return feature


def domain_capabilities(*features):
    known = [feature for feature in features if feature is not None]
    return {'x86_64': {'q35': mock.Mock(features=known)}}


def nova_says(folder, features, mode=None):
    """What each property of Nova's host says; False where it has none."""
    # Older ones import libvirt's bindings here; none of it is asked.
    with mock.patch.object(libvirt_host, 'libvirt', mock.Mock()):
        host = libvirt_host.Host('qemu:///system')
    capabilities = mock.Mock()
    capabilities.host.cpu.arch = 'x86_64'
    file = f'{folder}/%s' if RELEASE >= 32 else f'{folder}/sev'
    with (
        mock.patch.object(host, 'get_capabilities', return_value=capabilities),
        mock.patch.object(
            host,
            'get_domain_capabilities',
            return_value=domain_capabilities(*features),
        ),
        mock.patch.object(host, 'has_min_version', return_value=True),
        mock.patch.object(libvirt_host, 'SEV_KERNEL_PARAM_FILE', file),
        mock.patch.object(
            libvirt_host, 'CONF', mock.Mock(libvirt=mock.Mock(cpu_mode=mode))
        ),
    ):
        return {
            key: bool(getattr(host, name, False))
            for key, name in (
                ('sev', 'supports_amd_sev'),
                ('sev_es', 'supports_amd_sev_es'),
                ('sev_snp', 'supports_amd_sev_snp'),
                ('tdx', 'supports_intel_tdx'),
            )
        }


def we_say(made, keys, parameters, vm_types):
    """Our states on a host with this Nova."""
    made.versions = {'nova': (version.version_string(),)}
    for name, value in parameters.items():
        path = f'/sys/module/kvm_amd/parameters/{name}'
        made.files.pop(path, None)
        if value is not None:
            made.text(path, value)
    extensions = {**made.kvm.extensions, 235: vm_types}
    made.kvm = dataclasses.replace(made.kvm, extensions=extensions)
    report = report_on(made.snapshot())
    return {key: report[key].state is State.PRESENT for key in keys}


class TestConfidential(testtools.TestCase):
    def test_sev_when_parameters_and_libvirt_say_so(self):
        keys = ('sev', 'sev_es', 'sev_snp')
        for device, snp in itertools.product((True, False), repeat=2):
            features = (
                supported(
                    'Sev', supported=device, max_guests=5, max_es_guests=9
                ),
                supported(
                    'LaunchSecurity',
                    supported=device or snp,
                    sectypes=['sev', *(['sev-snp'] if snp else [])],
                ),
            )
            for values in itertools.product(PARAMETERS, repeat=3):
                parameters = dict(zip(keys, values, strict=True))
                with tempfile.TemporaryDirectory() as folder:
                    for key, value in parameters.items():
                        if value is not None:
                            pathlib.Path(folder, key).write_text(f'{value}\n')
                    theirs = nova_says(folder, features)
                made = amd_sev_snp()
                made.machine = dataclasses.replace(
                    made.machine, kernel='6.18.2-generic'
                )
                if not device:
                    made.misc(kvm=True)
                ours = we_say(made, keys, parameters, 0b1101 | snp << 4)
                theirs = {key: theirs[key] for key in keys}
                self.assertEqual(theirs, ours, (parameters, device, snp))

    def test_tdx_when_the_processor_is_passed_through(self):
        for mode, tdx in itertools.product(MODES, (True, False)):
            theirs = nova_says(
                '/nowhere', [supported('TDX', supported=tdx)], mode
            )
            made = intel_tdx()
            values = {} if mode is None else {'cpu_mode': mode}
            if mode == 'custom':
                values['cpu_models'] = 'SapphireRapids'
            made.nova(**values)
            made.text(CAPACITY, 'tdx 63')
            ours = we_say(made, ('tdx',), {}, 1 | tdx << 5)
            self.assertEqual(theirs['tdx'], ours['tdx'], (mode, tdx))

    def test_release_when_nova_has_the_property(self):
        names = {
            'sev_es': 'supports_amd_sev_es',
            'sev_snp': 'supports_amd_sev_snp',
            'tdx': 'supports_intel_tdx',
        }
        for key, since in SINCE.items():
            has = hasattr(libvirt_host.Host, names[key])
            self.assertEqual(since <= RELEASE, has, key)
