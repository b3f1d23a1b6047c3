# SPDX-License-Identifier: Apache-2.0
"""How a host's findings reach others."""
