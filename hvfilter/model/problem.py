# SPDX-License-Identifier: Apache-2.0
"""What failed and what to do about it: the one error that people see."""

from __future__ import annotations


class Problem(Exception):
    """Something failed, and a person can read why and what to do.

    Commands print it in one line. It never contains a secret.

    :param what: what failed, a clause without a final stop.
    :param remedy: what a person can do about it, one or more sentences.
    :param transient: the same may succeed later with nothing changed here:
        exit status 75 instead of that of the command.
    :param code: a word for machines that never changes: the label ``error``
        of a metric.
    """

    #: The values where the constructor gets none; kinds set their own.
    transient = False
    code = 'failed'

    def __init__(
        self,
        what: str,
        remedy: str,
        *,
        transient: bool | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy
        if transient is not None:
            self.transient = transient
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f'{self.what}. {self.remedy}'
