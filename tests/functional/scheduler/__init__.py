# SPDX-License-Identifier: Apache-2.0
"""The scheduler's part in a real Nova with a real Placement."""
