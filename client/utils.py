"""The functions that requests documents under this name; each lives where it belongs."""

from __future__ import annotations

from client.cookies import add_dict_to_cookiejar, cookiejar_from_dict, dict_from_cookiejar
from client.defaults import default_headers
from client.text import get_encoding_from_headers, get_encodings_from_content

__all__ = [
    "add_dict_to_cookiejar",
    "cookiejar_from_dict",
    "default_headers",
    "dict_from_cookiejar",
    "get_encoding_from_headers",
    "get_encodings_from_content",
]
