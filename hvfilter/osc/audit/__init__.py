# SPDX-License-Identifier: Apache-2.0
"""What ``openstack hypervisor capability audit`` looks for."""
