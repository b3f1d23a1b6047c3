# SPDX-License-Identifier: Apache-2.0
"""What follows from what is known. Pure: no I/O, clock, logging or CONF."""
