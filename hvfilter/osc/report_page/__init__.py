# SPDX-License-Identifier: Apache-2.0
"""The page that ``openstack hypervisor capability report`` writes."""
