"""A pytest plugin that puts this library under requests' name: ``pytest -p client.pytest_as_requests``.

A ``conftest.py`` is too late for that where a plugin, such as that of requests-mock, imports requests when it is
loaded; those named by ``-p`` come first.  To load this one is all that it needs.
"""

from __future__ import annotations

from client.as_requests import install

__all__ = ["install"]

install()
