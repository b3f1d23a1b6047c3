# SPDX-License-Identifier: Apache-2.0
"""The lab: real kernels with real KVM modules on processors of our choice.

``make lab`` boots the hosts of :mod:`tests.lab.table` on emulated processors
and holds what hvfilter says in each against what its kernel says.
"""
