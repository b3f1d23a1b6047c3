# SPDX-License-Identifier: Apache-2.0
"""Which compute host can run this KVM guest, as asked: found out and held."""
