# SPDX-License-Identifier: Apache-2.0
"""What is found out about a host: one small file a family of questions."""
