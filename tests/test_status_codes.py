"""`codes`: statuses by name."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from client.status_codes import codes


@pytest.mark.parametrize("status", HTTPStatus)
def test_every_status_that_is_registered_has_a_name(status: HTTPStatus) -> None:
    assert status.value in {value for name, value in vars(codes).items() if name.isidentifier()}


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("ok", 200),
        ("OK", 200),
        ("\\o/", 200),
        ("✓", 200),
        ("early-hints", 103),
        ("moved", 301),
        ("temporary_redirect", 307),
        ("im_a_teapot", 418),
        ("-o-", 404),
        ("internal_server_error", 500),
        ("✗", 500),
    ],
)
def test_a_name_leads_to_its_status(name: str, status: int) -> None:
    assert status == codes[name] == getattr(codes, name) == codes.get(name)


def test_an_unknown_name() -> None:
    assert codes["no such"] is None
    assert 7 == codes.get("no such", 7)
    with pytest.raises(AttributeError, match="no such"):
        getattr(codes, "no such")


def test_its_names_have_an_end() -> None:
    """It answers None to any index, so a loop over it, or ``in``, would go on for ever."""
    assert "ok" in codes
    assert "no such" not in codes
    assert 0 not in codes
    assert {"ok", "NOT_FOUND"} < set(codes)


def test_its_repr_is_short() -> None:
    assert "<lookup 'status_codes'>" == repr(codes)
