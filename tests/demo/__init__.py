# SPDX-License-Identifier: Apache-2.0
"""``make demo``: guests land in a real Nova, without hvfilter and with it."""
