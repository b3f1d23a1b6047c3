# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between this process and Placement.

None of these errors contains a token, a password or an unparsed response
body: of what a server sends, only Placement's own JSON error text is quoted,
shortened.
"""

from __future__ import annotations

from hvfilter.model.problem import Problem


class PlacementError(Problem):
    """The base of all errors of this package."""

    code = 'placement'


class Unreachable(PlacementError):
    """No response: refused, reset, timed out, or the name is unknown."""

    code = 'unreachable'
    transient = True


class Unavailable(PlacementError):
    """The service responded that it cannot serve now: 429 or 5xx.

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
    """Keystone or Placement rejected the credentials: 401."""

    code = 'unauthorized'


class Forbidden(PlacementError):
    """The user is authenticated and lacks the permission: 403."""

    code = 'forbidden'


class NotFound(PlacementError):
    """A provider or a trait that does not exist: 404 or an empty list."""

    code = 'not_found'


class WrongProvider(PlacementError):
    """This host's provider cannot be determined, or the configured one
    belongs to another host. Nothing was written.
    """

    code = 'wrong_provider'


class Conflict(PlacementError):
    """Another writer changed the object first, or still uses it: 409."""

    code = 'conflict'


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
    """The response is not what Placement sends: truncated, not JSON, of
    another shape, or a redirection.
    """

    code = 'bad_answer'
