# SPDX-License-Identifier: Apache-2.0
"""Publishers: they write the findings of a host to other services."""
