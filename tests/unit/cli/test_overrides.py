# SPDX-License-Identifier: Apache-2.0

import argparse

import testtools

from hvfilter.cli import overrides
from hvfilter.host import ini
from hvfilter.host.base import Denied, Host
from hvfilter.host.facts import Machine
from hvfilter.host.question import Kind
from hvfilter.model.finding import State
from hvfilter.model.problem import Problem
from tests.fakes import reports


class Files(Host):
    """A host that has these files."""

    origin = 'files'

    def __init__(self, **files):
        self.files = {
            '/etc/nova/nova.conf': files.get('nova'),
            '/etc/hvfilter/hvfilter.conf': files.get('ours'),
        }

    def machine(self):
        return Machine('x86_64', '6.12')

    def ask(self, question):
        path, *wanted = question.key
        if self.files.get(path) is None:
            raise Denied(str(question), 'ENOENT')
        if question.kind is Kind.OPTIONS:
            return ini.wanted_options(self.files[path], dict(*wanted))
        return None


class AsPublishedTest(testtools.TestCase):
    def kvm(self, paths=None, **files):
        found = reports.report([], ['kvm'])
        given = argparse.Namespace(config_paths=paths)
        return overrides.as_published(Files(**files), found, given)['kvm']

    def test_finding_when_nothing_is_said(self):
        for files in ({}, {'nova': '[DEFAULT]\noverrule = kvm=present\n'}):
            self.assertIsNone(self.kvm(**files).override)

    def test_finding_when_overruled(self):
        text = '[hvfilter]\noverrule = sev=absent, kvm=present,\n'
        finding = self.kvm(nova=text)
        self.assertIs(State.PRESENT, finding.state)
        self.assertIs(State.ABSENT, finding.found)
        self.assertIn('/etc/nova/nova.conf', finding.override.origin)

    def test_finding_when_files_contradict(self):
        finding = self.kvm(
            nova='[hvfilter]\noverrule = kvm=present\n',
            ours='[hvfilter]\noverrule = kvm=absent\n',
        )
        self.assertIs(State.ABSENT, finding.override.state)
        self.assertIn('hvfilter.conf', finding.override.origin)

    def test_finding_when_other_files_are_named(self):
        text = '[hvfilter]\noverrule = kvm=present\n'
        finding = self.kvm(['/etc/hvfilter/hvfilter.conf'], nova=text)
        self.assertIsNone(finding.override)
        finding = self.kvm(['/etc/nova/nova.conf'], nova=text)
        self.assertIs(State.PRESENT, finding.state)

    def test_finding_when_words_make_no_sense(self):
        error = self.assertRaises(
            Problem, self.kvm, ours='[hvfilter]\noverrule = kvm\n'
        )
        self.assertIn('kvm=present', str(error))
