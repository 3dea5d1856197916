"""The failures of the domain, each a sentence a user can act on."""

from __future__ import annotations


class ReceiptsError(Exception):
    """Something went wrong in the receipt platform."""


class InvalidInput(ReceiptsError):
    """The input is not acceptable: says which field, what it held and what is accepted."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class NotFound(ReceiptsError):
    """Nothing by that name exists, or it lies outside your regions."""


class Unauthenticated(ReceiptsError):
    """The request carries no valid access token."""


class Forbidden(ReceiptsError):
    """Your role does not permit this."""


class Conflict(ReceiptsError):
    """It is too late for this: what it is about has moved on."""


class TooLarge(ReceiptsError):
    """The request is larger than is accepted."""


class LimitReached(ReceiptsError):
    """More was asked for than one caller may have: says of what, how much is allowed and when to ask again."""

    def __init__(self, limit: str, allowed: int, window_s: int, wait_s: float, detail: str) -> None:
        super().__init__(detail)
        self.limit = limit
        self.allowed = allowed
        self.window_s = window_s
        self.wait_s = wait_s


class Unavailable(ReceiptsError):
    """A part that is needed for the answer is not there at the moment; try again shortly."""
