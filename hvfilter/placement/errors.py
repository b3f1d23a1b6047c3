# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between this process and Placement.

Every error names the thing that failed and what to do about it. None of them
ever carries a token, a password or an unparsed answer body: what a server
sends is quoted only where it is Placement's own JSON error text, shortened.
"""

from __future__ import annotations


class PlacementError(Exception):
    """The base of all errors of this package.

    :param what: the thing that failed, a clause without a final stop.
    :param remedy: what a person can do about it, a sentence.
    """

    #: Whether the same request may succeed later with nothing changed here.
    transient = False

    #: A word for machines, which never changes: the label of a metric.
    code = 'placement'

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f'{self.what}. {self.remedy}'


class Unreachable(PlacementError):
    """No answer came: refused, reset, timed out, or the name is unknown."""

    code = 'unreachable'

    transient = True


class Unavailable(PlacementError):
    """The service answered that it cannot serve now: 429 or 5xx.

    :param status: the HTTP status.
    :param retry_after_s: the Retry-After header in seconds, if it was sent as
        a number (an HTTP date is not used: it would need two equal clocks).
    """

    code = 'unavailable'

    transient = True

    def __init__(
        self,
        what: str,
        remedy: str,
        *,
        status: int,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, remedy)
        self.status = status
        self.retry_after_s = retry_after_s


class Misconfigured(PlacementError):
    """This side lacks something: credentials, an endpoint, an option."""

    code = 'misconfigured'


class Unauthorized(PlacementError):
    """Keystone or Placement did not accept who we are: 401."""

    code = 'unauthorized'


class Forbidden(PlacementError):
    """Placement knows who we are and does not allow it: 403."""

    code = 'forbidden'


class NotFound(PlacementError):
    """A provider or a trait that does not exist: 404 or an empty list."""

    code = 'not_found'


class WrongProvider(PlacementError):
    """Which provider is this host's cannot be decided, or what decides it
    belongs to another host. Nothing was written.
    """

    code = 'wrong_provider'


class Conflict(PlacementError):
    """Somebody else changed the thing first, or still uses it: 409.

    :param code: Placement's error code, such as
        ``placement.concurrent_update``; empty below microversion 1.23, which
        added the codes.
    """

    code = 'conflict'

    def __init__(self, what: str, remedy: str, *, code: str = '') -> None:
        super().__init__(what, remedy)
        self.code = code


class Rejected(PlacementError):
    """Placement does not accept the request: 400 and other 4xx."""

    code = 'rejected'


class UnknownTrait(Rejected):
    """A request names traits which this Placement does not know.

    :param traits: the names it does not know.
    """

    code = 'unknown_trait'

    def __init__(
        self, what: str, remedy: str, *, traits: frozenset[str]
    ) -> None:
        super().__init__(what, remedy)
        self.traits = traits


class TooOld(PlacementError):
    """Placement does not serve the microversion: 406."""

    code = 'too_old'


class BadAnswer(PlacementError):
    """The answer is not what Placement sends: truncated, not JSON, of
    another shape, or a redirection.
    """

    code = 'bad_answer'
