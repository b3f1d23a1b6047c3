# SPDX-License-Identifier: Apache-2.0
"""Why a guest landed nowhere is told where an operator looks for it."""

from tests.functional import landing


class NoValidHostTest(landing.LandingTestCase):
    """Nobody has what is asked for."""

    def test_log_tells_why_when_nobody_has_the_capability(self) -> None:
        log = self.log_of('hvfilter')
        specs = {'hvfilter:tdx': 'required'}
        self.refuse(specs)
        told = [line for line in log.output.splitlines() if 'tdx' in line]
        self.assertEqual(1, len(told), log.output)
        self.assertTrue(told[0].startswith('INFO '), told)
        self.assertIn('4 of 4 hosts rejected', told[0])
        for verdict in self.verdicts(specs).values():
            self.assertIn('lacks tdx', str(verdict))
        self.assertIn('lack tdx', told[0])

    def test_log_tells_why_when_the_request_makes_no_sense(self) -> None:
        log = self.log_of('hvfilter')
        # Our validator stops such a flavor at the API; an older one, or one
        # made with an older microversion, reaches the filter.
        self.admin_api.microversion = '2.85'
        flavor = self.flavor(**{'hvfilter:warp': 'required'})
        self.admin_api.microversion = 'latest'
        server = self.boot(flavor, status='ERROR')
        self.assertIsNone(self.host_of(server))
        self.assertIn('hvfilter:warp=required', log.output)

    def test_log_is_quiet_when_nobody_is_passed_over(self) -> None:
        log = self.log_of('hvfilter')
        self.boot(image=self.image(img_hv_type='qemu'))
        self.assertEqual('', log.output)
