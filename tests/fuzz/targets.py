"""The targets: what each one checks, and which part of the library its coverage is taken from.

An input is bytes; a check raises where an invariant does not hold.  Seeds, and what was found once, are the files of
``corpus/<target>/``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

__all__ = ["CORPUS", "TARGETS", "Target"]

CORPUS: Final = Path(__file__).parent / "corpus"


class Target(NamedTuple):
    """One target.

    Attributes:
        room: The module beside this one.
        check: Its function, bytes -> None.
        instrumented: Packages and modules whose branches guide the fuzzer.
    """

    room: str
    check: str
    instrumented: tuple[str, ...] = ("client",)


TARGETS: Final = {
    "client": Target("engine", "check_client_role", ("client.protocol",)),
    "server": Target("engine", "check_server_role", ("client.protocol",)),
    "session": Target("whole_session", "check_session"),
    "url": Target("urls", "check_url"),
    "cookies": Target("cookies", "check_cookies"),
    "file_names": Target("file_names", "check_file_name"),
    "fields": Target("fields", "check_fields"),
    "multipart": Target("multipart", "check_multipart"),
}
