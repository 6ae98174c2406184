"""`Limits`: what a peer may send before it is refused.

Every number in here is compared with one element of a message, as long as it may get, and never with what
happens to be buffered. RFC 9110 section 5.4 and RFC 9112 section 3 leave them to the recipient.
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = ["Limits"]


class Limits:
    """What a peer may send before it is refused. All sizes in bytes, line ends included. Immutable.

    Args:
        head: Start line and fields of one message; at least 1.
        fields: Number of fields in one head, and in the trailers of one message; at least 1.
        chunk_line: One chunk's size with its extensions; at least 1.
        trailers: The trailer section of one message with its empty line; at least 2, which allows no trailer.
        informational: Number of 1xx responses before the final one; 0 allows none.

    Attributes:
        LEAST: Each limit's name with its least value.

    Raises:
        ValueError: A limit is no int (a bool is none here), or is below its least value.
    """

    __slots__ = ("chunk_line", "fields", "head", "informational", "trailers")

    LEAST: ClassVar[dict[str, int]] = {
        "head": 1,
        "fields": 1,
        "chunk_line": 1,
        "trailers": 2,
        "informational": 0,
    }

    head: int
    fields: int
    chunk_line: int
    trailers: int
    informational: int

    def __init__(
        self,
        *,
        head: int = 64 * 1024,
        fields: int = 256,
        chunk_line: int = 4 * 1024,
        trailers: int = 64 * 1024,
        informational: int = 16,
    ) -> None:
        self._hold(
            head=head, fields=fields, chunk_line=chunk_line, trailers=trailers, informational=informational
        )

    def _hold(self, **limits: int) -> None:
        """Check *limits* and store them."""
        for name, limit in limits.items():
            least = self.LEAST[name]
            if type(limit) is not int or limit < least:
                raise ValueError(
                    f"{type(self).__name__}({name}={limit!r}): expected a whole number, at least {least}"
                )
            object.__setattr__(self, name, limit)

    def with_sizes(self, size: int) -> Limits:
        """Return these limits with *size* bytes for all that is limited in bytes."""
        return Limits(
            head=size,
            fields=self.fields,
            chunk_line=size,
            trailers=max(size, 2),
            informational=self.informational,
        )

    def _as_dict(self) -> dict[str, int]:
        return {name: getattr(self, name) for name in self.LEAST}

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"limits never change, so {name} cannot be set: make others")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"limits never change, so {name} cannot be deleted: make others")

    def __setstate__(self, state: dict[str, int]) -> None:
        """Check what a pickle or a copy brings, as the constructor would."""
        self._hold(**state)

    def __getstate__(self) -> dict[str, int]:
        return self._as_dict()

    def __eq__(self, other: object) -> bool:
        """Compare kind and limits."""
        if type(other) is not type(self):
            return NotImplemented
        return self._as_dict() == other._as_dict()

    def __hash__(self) -> int:
        """Hash the limits."""
        return hash(tuple(self._as_dict().values()))

    def __repr__(self) -> str:
        """Show all limits."""
        return f"{type(self).__name__}({', '.join(f'{name}={limit}' for name, limit in self._as_dict().items())})"
