"""The functions that requests documents under this name; each lives where it belongs."""

from __future__ import annotations

from client.cookies import add_dict_to_cookiejar, dict_from_cookiejar
from client.defaults import default_headers


__all__ = ["add_dict_to_cookiejar", "default_headers", "dict_from_cookiejar"]
