# SPDX-License-Identifier: Apache-2.0
"""All fakes of the tests, and nothing but fakes."""
