# SPDX-License-Identifier: Apache-2.0

import itertools

from hypothesis import given
from hypothesis import strategies as st
from testtools.matchers import Contains, StartsWith

from hvfilter.host import ini
from hvfilter.host.answers import Refusal
from hvfilter.model.catalogue import Stage
from hvfilter.probes import nova_files, nova_options
from hvfilter.probes.nova_config import NovaConfig
from hvfilter.probes.nova_options import WANTED, NovaOptions
from tests.unit.probes.base import EACCES, ENOENT, ProbeTestCase, look_at

MAIN = '/etc/nova/nova.conf'
SECOND = '/etc/nova/nova-compute.conf'
KOLLA = '/etc/kolla/nova-compute/nova.conf'
FOLDER = '/etc/nova/nova.conf.d'
OTHER_FOLDER = '/etc/nova/nova-compute.conf.d'
ELSEWHERE = {
    path: ENOENT
    for layout in nova_files.LAYOUTS
    for path in layout.files
    if path not in (MAIN, nova_files.DEFAULTS_ONLY)
}
NOWHERE = {
    path: ENOENT
    for layout in nova_files.LAYOUTS
    for path in layout.directories
}
INTEL = {'/proc/cpuinfo': 'vendor_id : GenuineIntel\n'}
AMD = {'/proc/cpuinfo': 'vendor_id : AuthenticAMD\n'}
DEBIAN = {'/etc/os-release': 'NAME="Debian GNU/Linux"\nID=debian\n'}
UBUNTU = {'/etc/os-release': 'ID=ubuntu\nID_LIKE=debian\n'}
HYGON = {'/proc/cpuinfo': 'vendor_id : HygonGenuine\n'}
UNKNOWN = {'/proc/cpuinfo': EACCES}


def one_file(**given_values):
    """A file that sets these; a value may be a tuple of several."""
    return {
        section: {
            name: (value,) if isinstance(value, str) else value
            for name in names
            for value in [given_values.get(name, ())]
        }
        for section, names in WANTED.items()
    }


def nova(
    files=None,
    options=None,
    arch='x86_64',
    directories=None,
    nova_config=None,
    versions=None,
    **values,
):
    """A host whose nova.conf sets the values, and nothing else is there.

    :param versions: of Nova, that are installed; None for not recorded
    """
    facts = {MAIN: one_file(**values), SECOND: ENOENT, KOLLA: ENOENT}
    facts.update(options or {})
    return look_at(
        arch=arch,
        files=INTEL if files is None else files,
        directories={
            FOLDER: ENOENT,
            OTHER_FOLDER: ENOENT,
            **(directories or {}),
        },
        options=facts,
        nova_config=nova_config,
        versions={} if versions is None else {'nova': versions},
    )


class NovaTestCase(ProbeTestCase):
    probe = NovaConfig

    def about(self, look, key='nested'):
        return self.one(look, key, Stage.NOVA)

    def check(self, state, look, key='nested', reason='', remedy=''):
        said = self.about(look, key)
        self.assertEqual(state, said.state.value, said)
        self.assertThat(said.reason, Contains(reason))
        self.assertThat(said.remedy, Contains(remedy))
        # Whatever can be mended says how.
        self.assertEqual(
            state == 'present', said.remedy == '', f'{said.remedy!r}'
        )


class TestVirtType(NovaTestCase):
    def test_kvm_when_defaults_hold(self):
        for key in ('kvm', 'nested', 'nested_slat', 'sev'):
            self.check('present', nova(), key)
        self.assertEqual(MAIN, self.about(nova()).source)
        self.assertEqual('nothing set', self.about(nova()).value)

    def test_unknown_when_there_is_no_configuration(self):
        look = nova(
            options={MAIN: ENOENT, nova_files.DEFAULTS_ONLY: ENOENT}
            | ELSEWHERE,
            directories=NOWHERE,
        )
        self.check('unknown', look, 'kvm', 'no configuration', '--config-file')
        self.assertEqual('nova.conf', self.about(look).source)

    def test_unknown_when_only_defaults_of_a_package_are_there(self):
        look = nova(
            options={MAIN: ENOENT, nova_files.DEFAULTS_ONLY: one_file()}
            | ELSEWHERE,
            directories=NOWHERE,
        )
        self.check('unknown', look, 'kvm', 'no configuration')

    def test_unknown_when_a_file_is_malformed(self):
        broken = Refusal(ini.MALFORMED, text='line 7: without a name')
        look = nova(options={MAIN: broken})
        self.check('unknown', look, 'kvm', 'line 7', 'correct that line')

    def test_unknown_when_a_named_file_is_missing(self):
        look = nova(options={'/x.conf': ENOENT}, nova_config=('/x.conf',))
        self.check('unknown', look, 'kvm', 'is missing', '--config-file')

    def test_virt_type_when_set(self):
        self.check('present', nova(virt_type='kvm'), 'kvm')
        for virt_type, words in (
            ('qemu', 'TCG'),
            ('lxc', 'containers'),
            ('parallels', 'Virtuozzo'),
            ('KVM', 'refuses'),
            ('', 'refuses'),
        ):
            for key in ('kvm', 'nested', 'sev'):
                look = nova(virt_type=virt_type)
                self.check('absent', look, key, words, 'virt_type = kvm')

    def test_tcg_when_virt_type_is_qemu(self):
        self.check('present', nova(virt_type='qemu'), 'tcg', 'without KVM')
        # cpu_mode = custom without a model: nova-compute does not start.
        look = nova(virt_type='qemu', cpu_mode='custom')
        self.check('absent', look, 'tcg', 'does not start')

    def test_tcg_when_virt_type_is_another(self):
        self.check('absent', nova(), 'tcg', 'KVM guests', 'virt_type = qemu')
        for virt_type in ('kvm', 'lxc', 'parallels', 'QEMU', ''):
            look = nova(virt_type=virt_type)
            what = 'KVM guests' if virt_type == 'kvm' else 'no guests of QEMU'
            self.check('absent', look, 'tcg', what, 'only if guests')
        look = nova(virt_type='qemu', compute_driver='ironic.IronicDriver')
        self.check('absent', look, 'tcg', 'ironic', 'compute_driver')

    def test_tcg_when_not_known(self):
        for look in (
            nova(virt_type='qemu', options={SECOND: EACCES}),
            nova(virt_type='$my_type'),
            look_at(files=INTEL),
        ):
            self.check('unknown', look, 'tcg')

    def test_driver_when_set(self):
        for driver in ('libvirt.LibvirtDriver', 'nova.virt.libvirt.X', ''):
            self.check('present', nova(compute_driver=driver), 'kvm')
        for driver in ('ironic.IronicDriver', 'fake.FakeLibvirtDriver'):
            look = nova(compute_driver=driver)
            self.check('absent', look, 'kvm', driver, 'compute_driver = lib')

    def test_refused_when_a_file_may_not_be_read(self):
        look = nova(options={SECOND: EACCES})
        self.check('unknown', look, 'kvm', 'EACCES', 'group nova')
        self.assertThat(self.about(look).value, Contains('EACCES'))

    def test_refused_when_a_directory_may_not_be_read(self):
        look = nova(directories={FOLDER: EACCES})
        self.check('unknown', look, 'kvm', FOLDER)

    def test_reference_when_a_value_refers_to_another(self):
        look = nova(virt_type='$my_type')
        self.check('unknown', look, 'kvm', 'virt_type', 'virt_type')

    def test_encrypted_guests_when_none_are_let(self):
        look = nova(num_memory_encrypted_guests='0')
        for key in ('sev', 'sev_es'):
            self.check('absent', look, key, '= 0', 'raise it')
        self.check('present', look, 'kvm')
        self.check('present', nova(num_memory_encrypted_guests='5'), 'sev')

    def test_words_when_there_is_something_to_mend(self):
        for key, look, asked, reason, remedy in (
            (
                'kvm',
                look_at(files=INTEL),
                'virt_type',
                "this recording holds nothing of Nova's configuration",
                'record the host again, or name a nova.conf of it '
                '(--config-file)',
            ),
            (
                'kvm',
                nova(compute_driver='ironic.IronicDriver'),
                'compute_driver',
                'nova-compute drives ironic.IronicDriver here, not libvirt',
                'set compute_driver = libvirt.LibvirtDriver in nova.conf',
            ),
            (
                'kvm',
                nova(cpu_mode='host'),
                'cpu_mode',
                'nova-compute refuses cpu_mode = host',
                'set [libvirt] cpu_mode = host-model in nova.conf',
            ),
            (
                'kvm',
                nova(cpu_mode='custom'),
                'cpu_mode, cpu_models',
                'nova-compute does not start: cpu_mode = custom without '
                'cpu_models',
                'set [libvirt] cpu_models exactly when cpu_mode = custom',
            ),
            (
                'nested',
                nova(arch='s390x', cpu_mode='custom', cpu_models='z14'),
                'cpu_mode, cpu_models',
                'whether the CPU model z14 has SIE is not known here',
                'set [libvirt] cpu_mode = host-model in nova.conf',
            ),
            *(
                (
                    'kvm',
                    nova(virt_type=value),
                    'virt_type',
                    f'Nova starts {what} here: virt_type = {value}',
                    'set [libvirt] virt_type = kvm in nova.conf and restart '
                    'nova-compute',
                )
                for value, what in (
                    ('qemu', 'QEMU guests without KVM (TCG)'),
                    ('lxc', 'containers'),
                    ('parallels', 'Virtuozzo guests'),
                    ('x', 'no guests: nova-compute refuses the value'),
                )
            ),
        ):
            said = self.about(look, key)
            self.assertEqual(
                (asked, reason, remedy), (said.asked, said.reason, said.remedy)
            )

    def test_long_value_when_shown(self):
        look = nova(virt_type='kvm', cpu_models='m' * 500)
        self.assertLess(len(self.about(look).value), 200)
        said = self.about(nova(virt_type='v' * 41))
        self.assertTrue(said.reason.endswith(f' = {"v" * 40}'), said.reason)


class TestRecorded(NovaTestCase):
    def test_unknown_when_nothing_was_recorded(self):
        look = look_at(files=INTEL)
        self.check(
            'unknown', look, 'kvm', 'holds nothing', 'record the host again'
        )

    def test_recorded_files_count_when_others_are_not_recorded(self):
        look = look_at(files=INTEL, options={MAIN: one_file(virt_type='qemu')})
        self.check('absent', look, 'kvm', 'TCG')
        look = look_at(files=INTEL, options={MAIN: one_file()})
        self.check('present', look, 'kvm')

    def test_unknown_when_only_denials_were_recorded(self):
        look = look_at(files=INTEL, options={MAIN: ENOENT})
        self.check('unknown', look, 'kvm', 'holds nothing')

    def test_known_options_count_when_newer_ones_are_not_recorded(self):
        old = one_file(virt_type='qemu', cpu_mode='host-model')
        del old['libvirt']['num_memory_encrypted_guests']
        look = look_at(files=INTEL, options={MAIN: old})
        self.check('absent', look, 'kvm', 'TCG')
        old = one_file(virt_type='kvm', cpu_mode='none')
        del old['libvirt']['virt_type']
        look = look_at(files=INTEL, options={MAIN: old})
        self.check('absent', look, 'nested', 'cpu_mode = none')
        self.check('unknown', look_at(options={MAIN: {}}), 'kvm', 'nothing')


class TestGuestCpu(NovaTestCase):
    def test_host_model_when_it_is_the_default_or_set(self):
        for mode in ({}, {'cpu_mode': 'host-model'}):
            look = nova(files=INTEL, **mode)
            self.check('present', look, reason='host-model')

    def test_host_model_when_the_processor_is_of_amd(self):
        """libvirt's models have svm, and QEMU takes it out of them."""
        for mode, key, files in itertools.product(
            ({}, {'cpu_mode': 'host-model'}),
            ('nested', 'nested_slat'),
            (AMD, HYGON),
        ):
            look = nova(files=files | DEBIAN, **mode)
            self.check(
                'absent', look, key, 'without SVM', 'add svm to [libvirt]'
            )
            look = nova(
                files=files | DEBIAN, cpu_model_extra_flags='svm', **mode
            )
            self.check('present', look, key, 'adds svm')

    def test_host_model_when_qemu_is_of_ubuntu(self):
        """That QEMU leaves svm in."""
        like = {'/etc/os-release': "ID=pop\nID_LIKE='ubuntu debian'\n"}
        for system in (UBUNTU, like):
            self.check('present', nova(files=AMD | system), reason='Ubuntu')
        for more in (
            {'cpu_mode': 'none'},
            {'cpu_mode': 'custom', 'cpu_models': 'EPYC'},
        ):
            look = nova(files=AMD | UBUNTU, **more)
            self.check('unknown', look, reason='which may have SVM')
            look = nova(files=INTEL | UBUNTU, **more)
            self.check('absent', look, reason='without VMX')
        look = nova(files=AMD | UBUNTU, cpu_model_extra_flags='-svm')
        self.check('absent', look, reason='-svm')

    def test_host_model_when_qemu_is_of_nobody_knows_whom(self):
        for files in (AMD, AMD | {'/etc/os-release': 'NAME=x\n'}):
            self.check('unknown', nova(files=files), 'nested', 'only', 'add')
        inside = nova(
            files=AMD | UBUNTU,
            options={MAIN: ENOENT, KOLLA: one_file(cpu_mode='host-model')},
        )
        self.check('unknown', inside, 'nested', 'only with the QEMU', 'svm')

    def test_host_model_when_nobody_knows_whose_processor_it_is(self):
        self.check('unknown', nova(files=DEBIAN), 'nested', 'on AMD', 'svm')
        self.check('present', nova(files=UBUNTU), 'nested', 'Ubuntu')

    def test_host_passthrough_on_every_processor(self):
        for files in (INTEL, AMD, UNKNOWN):
            look = nova(cpu_mode='host-passthrough', files=files)
            self.check('present', look, reason='host-passthrough')

    def test_none_when_it_is_the_mode(self):
        for key in ('nested', 'nested_slat'):
            for files, mode in (
                (INTEL, 'host-model'),
                (AMD | DEBIAN, 'host-passthrough'),
                (UNKNOWN | DEBIAN, 'host-passthrough'),
            ):
                look = nova(cpu_mode='none', files=files)
                self.check(
                    'absent', look, key, 'default CPU', f'cpu_mode = {mode}'
                )
        self.check('present', nova(cpu_mode='none'), 'kvm')

    def test_mode_when_nova_refuses_it(self):
        for mode in ('host_model', '', 'Host-Model'):
            for key in ('nested', 'kvm'):
                look = nova(cpu_mode=mode)
                self.check('absent', look, key, 'refuses', 'cpu_mode = host')

    def test_models_when_nova_does_not_start_with_them(self):
        self.check(
            'absent', nova(cpu_mode='custom'), 'kvm', 'custom without', 'exa'
        )
        for mode in ({}, {'cpu_mode': 'host-model'}):
            look = nova(cpu_models='Haswell', **mode)
            self.check('absent', look, 'kvm', 'together with')
        self.check(
            'absent', nova(cpu_models='Haswell'), 'kvm', 'not set together'
        )

    def test_custom_model_when_flags_do_not_add_the_extension(self):
        look = nova(cpu_mode='custom', cpu_models='Haswell, Skylake-Client')
        for key in ('nested', 'nested_slat'):
            self.check('absent', look, key, 'Haswell', 'add vmx to')
        self.check('present', look, 'kvm')
        look = nova(
            cpu_mode='custom',
            cpu_models='EPYC',
            cpu_model_extra_flags='vmx',
            files=AMD | DEBIAN,
        )
        self.check('absent', look)

    def test_custom_model_when_flags_add_the_extension(self):
        for files, flags in (
            (INTEL, 'vmx'),
            (INTEL, '+VMX'),
            (INTEL, 'pcid, +vmx,-hle'),
            (AMD, '+svm'),
        ):
            look = nova(
                cpu_mode='custom',
                cpu_models='X',
                cpu_model_extra_flags=flags,
                files=files,
            )
            for key in ('nested', 'nested_slat'):
                self.check('present', look, key, 'extra_flags adds')

    def test_flags_when_they_take_the_extension(self):
        for mode, files, flags in itertools.product(
            ({}, {'cpu_mode': 'host-passthrough'}),
            (INTEL, {}),
            ('-vmx', '-VMX', 'pcid, -vmx', '+vmx,-vmx', '--vmx'),
        ):
            look = nova(cpu_model_extra_flags=flags, files=files, **mode)
            for key in ('nested', 'nested_slat'):
                self.check('absent', look, key, '-vmx', 'remove -vmx from')

    def test_flags_when_they_take_nested_slat_only(self):
        for files, flags, taken in (
            (INTEL, '-vmx-ept', '-vmx-ept'),
            (AMD, 'svm,-npt', '-npt'),
        ):
            look = nova(cpu_model_extra_flags=flags, files=files)
            self.check('present', look, 'nested')
            self.check('absent', look, 'nested_slat', taken)
        for flag in ('-vmx-ept', '-npt'):
            look = nova(
                cpu_mode='host-passthrough',
                cpu_model_extra_flags=flag,
                files={},
            )
            self.check('present', look, 'nested')
            self.check('absent', look, 'nested_slat', flag)
        look = nova(cpu_model_extra_flags='-svm', files=AMD)
        self.check('absent', look, 'nested', '-svm', 'remove -svm from')
        look = nova(cpu_model_extra_flags='-vmx,-vmx-ept', files=INTEL)
        self.check('absent', look, 'nested_slat', '-vmx', 'remove -vmx from')
        said = self.about(look, 'nested_slat')
        self.assertTrue(said.reason.endswith(': -vmx'), said)

    def test_flags_when_they_are_about_another_processor(self):
        look = nova(cpu_model_extra_flags='-svm,-npt', files=INTEL)
        self.check('present', look)
        look = nova(
            cpu_model_extra_flags='-vmx',
            cpu_mode='host-passthrough',
            files=AMD,
        )
        self.check('present', look)

    def test_flags_that_only_another_maker_has(self):
        """libvirt starts no guest with them, where it compares at all."""
        custom = {'cpu_mode': 'custom', 'cpu_models': 'X'}
        for mode, (files, flags, foreign) in itertools.product(
            ({}, {'cpu_mode': 'host-model'}, custom),
            (
                (INTEL, 'svm', 'svm'),
                (INTEL, 'vmx, +SVM', 'svm'),
                (INTEL, 'npt', 'npt'),
                (AMD, 'vmx', 'vmx'),
                (HYGON, 'svm,vmx-ept', 'vmx-ept'),
            ),
        ):
            look = nova(cpu_model_extra_flags=flags, files=files, **mode)
            for key in ('kvm', 'nested', 'sev'):
                reason = f'extra_flags requires {foreign}, which no processor'
                remedy = f'remove {foreign} from'
                self.check('absent', look, key, reason, remedy)
            self.check('absent', look, 'tcg', 'KVM guests')

    def test_flags_of_another_maker_when_nothing_compares_them(self):
        for more, key in (
            ({'cpu_mode': 'host-passthrough'}, 'nested'),
            ({'cpu_mode': 'host-passthrough'}, 'kvm'),
            ({'cpu_mode': 'none'}, 'kvm'),
            ({'virt_type': 'qemu'}, 'tcg'),
        ):
            look = nova(cpu_model_extra_flags='svm', files=INTEL, **more)
            self.check('present', look, key)
        for flags, files in (
            ('svm,-svm', INTEL),
            ('pcid', INTEL),
            ('svm', {'/proc/cpuinfo': 'vendor_id : CentaurHauls\n'}),
        ):
            look = nova(cpu_model_extra_flags=flags, files=files)
            self.check('present', look, 'kvm')
        look = nova(cpu_model_extra_flags='svm', arch='s390x')
        self.check('present', look, 'kvm')

    def test_flags_when_nobody_knows_whose_processor_it_is(self):
        for flag in ('svm', 'vmx'):
            look = nova(cpu_model_extra_flags=flag, files=DEBIAN)
            for key in ('kvm', 'nested'):
                self.check('unknown', look, key, f'requires {flag}')
            look = nova(
                cpu_model_extra_flags=flag,
                cpu_mode='host-passthrough',
                files=DEBIAN,
            )
            self.check('present', look, 'nested', 'extra_flags adds')

    def test_mode_on_other_architectures(self):
        self.check('present', nova(arch='s390x'))
        self.check('present', nova(arch='s390x', cpu_mode='none'))
        look = nova(arch='s390x', cpu_mode='custom', cpu_models='z14,z13')
        self.check('unknown', look, reason='z14', remedy='host-model')
        self.check('absent', nova(arch='aarch64'), reason='virtualization=on')
        self.check('absent', nova(arch='ppc64le'), reason='nested-hv')
        said = self.about(nova(arch='riscv64'))
        self.assertEqual('unknown', said.state.value)


def _place(layout):
    """A file of a layout, and the folder that lists it."""
    if layout.files:
        return layout.files[0], {}
    return f'{layout.directories[0]}/1.conf', {
        layout.directories[0]: ('1.conf',)
    }


class TestOptions(NovaTestCase):
    def read(self, *args, **kwargs):
        return nova_options.read(nova(*args, **kwargs))

    def test_last_value_when_one_file_sets_it_often(self):
        self.assertEqual(
            'qemu', self.read(virt_type=('kvm', 'qemu')).virt_type
        )

    def test_nothing_else_counts_when_a_directory_is_read(self):
        """As the shell pattern *.conf has it."""
        others = ('.hidden.conf', 'nova.conf.bak', 'notes')
        found = self.read(
            virt_type='kvm',
            options={
                f'{FOLDER}/{name}': one_file(virt_type='qemu')
                for name in others
            },
            directories={FOLDER: others},
        )
        self.assertEqual('kvm', found.virt_type)
        self.assertEqual((MAIN,), found.read)

    def test_last_file_when_several_set_it(self):
        found = self.read(
            virt_type='kvm',
            cpu_mode='none',
            options={
                SECOND: one_file(virt_type='qemu'),
                f'{FOLDER}/b.conf': one_file(virt_type='parallels'),
                f'{FOLDER}/a.conf': one_file(virt_type='lxc'),
            },
            directories={FOLDER: ('.hidden.conf', 'a.conf', 'b.conf', 'c')},
        )
        self.assertEqual('parallels', found.virt_type)
        self.assertEqual('none', found.cpu_mode)
        self.assertEqual(
            (MAIN, SECOND, f'{FOLDER}/a.conf', f'{FOLDER}/b.conf'), found.read
        )

    def test_deprecated_name_when_only_it_is_set(self):
        self.assertEqual(('a', 'b'), self.read(cpu_model='a,b').cpu_models)
        found = self.read(cpu_model=('a', 'b'))
        self.assertEqual(('b',), found.cpu_models)

    def test_new_name_when_one_file_sets_both(self):
        found = self.read(cpu_model='old', cpu_models='new')
        self.assertEqual(('new',), found.cpu_models)

    def test_deprecated_name_when_a_later_file_sets_it(self):
        found = self.read(
            cpu_models='new', options={SECOND: one_file(cpu_model='old')}
        )
        self.assertEqual(('old',), found.cpu_models)

    def test_files_when_they_are_named(self):
        look = look_at(
            nova_config=('/a.conf', '/d', '/b.ini', '/missing', '/no'),
            directories={
                '/d': ('x.conf',),
                '/b.ini': type(ENOENT)('ENOTDIR'),
                '/missing': ENOENT,
                '/no': EACCES,
            },
            options={
                '/a.conf': one_file(virt_type='kvm'),
                '/b.ini': one_file(virt_type='lxc'),
                '/d/x.conf': one_file(virt_type='qemu'),
                MAIN: one_file(virt_type='parallels'),
            },
        )
        found = nova_options.read(look)
        # A file given without the usual ending comes after the rest.
        self.assertEqual({'/a.conf', '/b.ini', '/d/x.conf'}, set(found.read))
        # What is named and not there is no better than what is refused.
        self.assertEqual(
            ['list /missing', 'list /no'], [d.what for d in found.refused]
        )

    def test_layouts_when_they_agree_or_differ(self):
        for layout in nova_files.LAYOUTS[1:]:
            path, folders = _place(layout)
            for virt_type, rivals in (('qemu', ()), ('kvm', (layout.name,))):
                found = self.read(
                    virt_type='qemu',
                    options={path: one_file(virt_type=virt_type)},
                    directories=folders,
                )
                self.assertEqual(rivals, found.rivals, path)
                self.assertEqual('qemu', found.virt_type)
                self.assertEqual((MAIN,), found.read)

    def test_the_one_layout_when_it_is_of_a_deployment_tool(self):
        for layout in nova_files.LAYOUTS[1:]:
            path, folders = _place(layout)
            found = self.read(
                options=ELSEWHERE
                | {MAIN: ENOENT, path: one_file(virt_type='qemu')},
                directories=NOWHERE | folders,
            )
            self.assertEqual('qemu', found.virt_type, path)
            self.assertEqual((path,), found.read)
            self.assertEqual(layout, found.layout)

    def test_files_of_the_unit_when_it_names_some(self):
        for command, read in (
            (
                '/opt/nova/bin/nova-compute --config-file /opt/nova/etc/n.conf'
                ' --config-dir=/opt/nova/etc/d',
                ('/opt/nova/etc/n.conf', '/opt/nova/etc/d/x.conf'),
            ),
            (
                '/usr/bin/nova-compute \\\n--config-file /opt/nova/etc/n.conf',
                ('/opt/nova/etc/n.conf',),
            ),
            ('/usr/bin/nova-compute', (MAIN,)),
            ('/usr/bin/nova-compute --config-file', (MAIN,)),
            ('/usr/bin/nova-compute --config-file "', (MAIN,)),
            ('/usr/bin/nova-compute --config-file %i.conf', (MAIN,)),
        ):
            for unit in (
                '/etc/systemd/system/nova-compute.service',
                '/usr/lib/systemd/system/openstack-nova-compute.service',
            ):
                found = self.read(
                    options={
                        unit: {'Service': {'ExecStart': ('', command)}},
                        '/opt/nova/etc/n.conf': one_file(virt_type='qemu'),
                        '/opt/nova/etc/d/x.conf': one_file(),
                    },
                    directories={'/opt/nova/etc/d': ('x.conf', 'y')},
                )
                self.assertEqual(read, found.read, command)
                self.assertEqual((), found.refused)

    def test_usual_files_when_the_unit_names_none_or_is_odd(self):
        unit = '/etc/systemd/system/nova-compute.service'
        for said in (
            {'Service': {'ExecStart': ()}},
            ENOENT,
            Refusal(ini.MALFORMED, text='line 1'),
        ):
            self.assertEqual((MAIN,), self.read(options={unit: said}).read)

    def test_refused_when_the_unit_may_not_be_read(self):
        unit = '/etc/systemd/system/nova-compute.service'
        found = self.read(options={unit: EACCES})
        self.assertEqual([f'read {unit}'], [d.what for d in found.refused])
        self.assertTrue(found.there)

    def test_usual_files_when_those_named_say_nothing_of_nova(self):
        named = '/etc/hvfilter/hvfilter.conf'
        for said, read in (
            (one_file(), (MAIN,)),
            (one_file(compute_driver='x'), (named,)),
        ):
            found = self.read(
                virt_type='qemu', options={named: said}, nova_config=(named,)
            )
            self.assertEqual(read, found.read)

    def test_unresolved_when_a_value_refers_to_another(self):
        found = self.read(virt_type='kvm', cpu_mode='$x')
        self.assertEqual(('cpu_mode',), found.unresolved)

    @given(st.lists(st.text('ab,- +', max_size=5), max_size=4).map(','.join))
    def test_flags_of_any_text(self, text):
        options = NovaOptions({'cpu_model_extra_flags': text}, (), ())
        for feature in ('a', 'b', 'ab'):
            self.assertIn(options.switched(feature), (True, False, None))

    def test_list_when_it_holds_empty_places(self):
        for text, values in (
            ('', ()),
            (' , ', ()),
            ('a', ('a',)),
            ('a, b,', ('a', 'b')),
            ('a,,b', ('a', '', 'b')),
            (',a', ('', 'a')),
        ):
            self.assertEqual(values, nova_options.as_list(text), text)

    def test_source_when_several_files_were_read(self):
        look = nova(options={SECOND: one_file(virt_type='kvm')})
        said = self.about(look)
        self.assertEqual(f'{MAIN}, {SECOND}', said.source)
        self.assertThat(said.value, StartsWith('virt_type = kvm'))
