# SPDX-License-Identifier: Apache-2.0
import pathlib
from unittest import mock

import testtools
from oslo_config import cfg

from hvfilter.conf import config_files
from hvfilter.model.problem import Problem

DIRECTORY = '/etc/nova/nova.conf.d'


class TestRead(testtools.TestCase):
    def test_refused_when_a_folder_may_not_be_entered(self):
        refusal = PermissionError(13, 'Permission denied', DIRECTORY)
        with mock.patch.object(pathlib.Path, 'glob', side_effect=refusal):
            problem = self.assertRaises(
                Problem, config_files.read, cfg.ConfigOpts(), (), (DIRECTORY,)
            )
        self.assertIn(DIRECTORY, problem.what)
        self.assertIn('group nova', problem.remedy)
