# SPDX-License-Identifier: Apache-2.0
"""How findings reach people and programs."""
