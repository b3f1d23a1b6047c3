# SPDX-License-Identifier: Apache-2.0

import contextlib
import io
import json
import pathlib

import fixtures
import testtools
from testtools.matchers import Contains

from tests import corpus_check

LEAVES = """
  <cpuid eax_in='0x80000000' eax='0x8000000a' ebx='0' ecx='0' edx='0'/>
  <cpuid eax_in='0x80000001' eax='0' ebx='0' ecx='{svm}' edx='0'/>
  <cpuid eax_in='0x8000000a' eax='0' ebx='0' ecx='0' edx='0x9'/>
"""
DATA = "<cpudata><cpuid eax_in='1' eax='0' ebx='0' ecx='{vmx}' edx='0'/>{more}"
MSRS = """<cpudata><msr index='0x48b' edx='0' eax='0x2'/>
<msr index='0x48d' edx='0' eax='0x0'/>
<msr index='0x48e' edx='0' eax='0x80000000'/></cpudata>"""


class TestCorpusCheck(testtools.TestCase):
    def setUp(self):
        super().setUp()
        self.folder = pathlib.Path(self.useFixture(fixtures.TempDir()).path)
        self.processors = self.folder / 'libvirt-cputestdata'
        self.processors.mkdir()
        (self.folder / 'cpuinfo').mkdir()

    def amd(self, host):
        more = LEAVES.format(svm='0x4')
        (self.processors / 'amd.xml').write_text(
            DATA.format(vmx='0', more=more) + '</cpudata>'
        )
        (self.processors / 'amd-host.xml').write_text(host)

    def check(self):
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            code = corpus_check.main([str(self.folder)])
        return code, output.getvalue()

    def test_exit_code_when_all_agrees(self):
        self.amd(
            "<cpu><model>Opteron_G3</model><feature name='npt'/>"
            "<feature name='nrip-save'/></cpu>"
        )
        code, output = self.check()
        self.assertEqual(0, code)
        self.assertThat(output, Contains('9 of 9 answers agree'))

    def test_exit_code_when_something_disagrees(self):
        self.amd("<cpu><model>pentium</model><feature name='npt'/></cpu>")
        code, output = self.check()
        self.assertEqual(1, code)
        self.assertThat(output, Contains("amd: amdv: ours True, libvirt's F"))
        self.assertThat(output, Contains('nrips'))

    def test_vmx_features_when_qemu_recorded_them(self):
        (self.processors / 'intel.xml').write_text(
            DATA.format(vmx='0x20', more='</cpudata>')
        )
        (self.processors / 'intel-host.xml').write_text(
            "<cpu><model>Haswell</model><feature name='vmx'/></cpu>"
        )
        (self.processors / 'intel-enabled.xml').write_text(MSRS)
        properties = {'vmx-ept': True, 'vmx-vpid': True, 'level': 7}
        (self.processors / 'intel.json').write_text(
            json.dumps({'return': {'model': {'props': properties}}})
        )
        code, output = self.check()
        self.assertEqual(1, code)
        self.assertThat(output, Contains('1 of 2 answers agree, 7 without'))
        self.assertThat(output, Contains('intel: vpid: ours False'))

    def test_cpuinfo_when_it_names_the_extension(self):
        for name, content in (
            ('linux-x86_64-a.cpuinfo', 'flags : fpu svm\n'),
            ('linux-s390x-a.cpuinfo', 'features : esan3 sie\n'),
            ('linux-aarch64-a.cpuinfo', 'Features : fp\n'),
        ):
            (self.folder / 'cpuinfo' / name).write_text(content)
        code, output = self.check()
        self.assertEqual(0, code)
        self.assertThat(output, Contains('2 of 2 answers agree, 1 without'))

    def test_usage_when_there_is_no_folder(self):
        with contextlib.redirect_stderr(io.StringIO()) as output:
            self.assertEqual(2, corpus_check.main([]))
        self.assertThat(output.getvalue(), Contains('usage'))
