# SPDX-License-Identifier: Apache-2.0

import logging
import subprocess
import sys
from unittest import mock

from hvfilter.cli import main
from hvfilter.model.problem import Problem
from tests.unit.cli.base import CommandTestCase


class TestMain(CommandTestCase):
    def test_help_when_there_is_no_command(self):
        for argv in ((), ('--help',), ('help',), ('--debug',)):
            ran = self.run_command(*argv)
            self.assertIn('Commands:', ran.out)
            self.assertIn('  probe ', ran.out)
            self.assertIn('  record ', ran.out)

    def test_usage_when_a_command_is_asked_for_help(self):
        ran = self.run_command('probe', '--help')
        self.assertEqual(0, ran.status)
        self.assertIn('--snapshot <file>', ran.out)

    def test_status_2_when_the_command_is_unknown(self):
        ran = self.run_command('prove')
        self.assertEqual(2, ran.status)
        self.assertIn('probe', ran.out)

    def test_status_2_when_an_option_is_unknown(self):
        ran = self.run_command('probe', '--bogus')
        self.assertEqual(2, ran.status)
        self.assertIn('unrecognized arguments: --bogus', ran.err)

    def test_traceback_when_debugging_only(self):
        argv = ('probe', '--snapshot', '/nonexistent')
        self.assert_trouble(
            'Cannot read /nonexistent', self.run_command(*argv)
        )
        ran = self.run_command('--debug', *argv)
        self.assertEqual(2, ran.status)
        self.assertIn('Traceback', ran.err)

    def test_traceback_goes_to_the_log_file_when_there_is_one(self):
        log = self.folder / 'log'

        def fail(_):
            try:
                raise ValueError
            except ValueError:
                logging.getLogger('x').exception('boo')
            raise Problem('no report', 'Get one.')

        with mock.patch('hvfilter.cli.host_command.report_from_args', fail):
            ran = self.run_command(
                '--log-file', log, 'check', '--require', 'kvm'
            )
        self.assertNotIn('Traceback', ran.err)
        self.assertIn('boo', ran.err)
        self.assertIn('Traceback', log.read_text())

    def test_no_error_when_the_reader_has_gone(self):
        program = (
            'import sys; from hvfilter.cli.main import main;'
            'sys.exit(main(sys.argv[1:]))'
        )
        with subprocess.Popen(
            [
                sys.executable,
                '-c',
                program,
                'probe',
                '--evidence',
                '--snapshot',
                str(self.host('amd-everything')),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as run:
            run.stdout.close()
            errors = run.stderr.read()
        self.assertEqual(b'', errors)
        self.assertEqual(141, run.returncode)

    def test_nothing_is_flushed_again_when_the_reader_has_gone(self):
        stdout = mock.Mock()
        stdout.flush.side_effect = BrokenPipeError
        stdout.fileno.return_value = 1234
        with (
            mock.patch('sys.stdout', stdout),
            mock.patch.object(main.Hvfilter, 'run', return_value=0),
            mock.patch('os.dup2') as dup2,
        ):
            self.assertEqual(141, main.main(['probe']))
        self.assertEqual(1234, dup2.call_args.args[1])


class TestLazyCommands(CommandTestCase):
    def test_only_the_wanted_command_is_loaded_when_listed(self):
        loaded = subprocess.run(
            [
                sys.executable,
                '-c',
                'import sys; from hvfilter.cli import main;'
                'main.Hvfilter(); print([m for m in ("hvfilter.cli.probe",'
                '"hvfilter.cli.publish", "oslo_config", "cmd2", "rich")'
                ' if m in sys.modules])',
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual('[]', loaded.stdout.strip())

    def test_commands_about_a_host_need_nothing_of_openstack(self):
        # They run where hvfilter was only copied to, as in the lab.
        loaded = subprocess.run(
            [
                sys.executable,
                '-c',
                'import sys;'
                'import hvfilter.cli.check, hvfilter.cli.diff;'
                'import hvfilter.cli.probe, hvfilter.cli.record;'
                'print([m for m in sys.modules if m.startswith('
                '("oslo_", "keystoneauth1", "os_"))])',
            ],
            capture_output=True,
            text=True,
            check=True,
        )
        self.assertEqual('[]', loaded.stdout.strip())

    def test_the_first_is_used_when_two_commands_share_a_name(self):
        points = [
            mock.Mock(value='a:A'),
            mock.Mock(value='b:B'),
            mock.Mock(value='a:A'),
        ]
        for point in points:
            point.name = 'do_it'
        with (
            mock.patch(
                'stevedore.ExtensionManager.list_entry_points',
                return_value=points,
            ),
            self.assertLogs(main.LOG, 'WARNING') as logged,
        ):
            commands = main.LazyCommands('x.y')
        self.assertEqual(1, len(logged.output))
        self.assertIn('do_it: a:A and b:B', logged.output[0])
        self.assertIn('The first is used', logged.output[0])
        self.assertIs(points[0], commands.commands['do it'])
