# SPDX-License-Identifier: Apache-2.0
"""The page of ``openstack hypervisor capability report`` in a real browser.

``python -m tests.page`` measures it and makes pictures of it; see there.
"""
