"""The tables and what is drawn from them."""

from __future__ import annotations

from pathlib import Path

import pytest

from client import protocol
from client.protocol import state

SANS_IO = Path(__file__).parents[2] / "docs" / "sans-io.md"


@pytest.mark.parametrize("role", [protocol.CLIENT, protocol.SERVER], ids=str)
def test_the_diagram_in_the_docs_is_the_one_of_the_tables(role: type[protocol.Sentinel]) -> None:
    assert f"```mermaid\n{state.state_diagram(role)}```" in SANS_IO.read_text(encoding="utf-8")


@pytest.mark.parametrize("role", [protocol.CLIENT, protocol.SERVER], ids=str)
def test_every_arc_leads_to_a_state_of_the_role(role: type[protocol.Sentinel]) -> None:
    states = set(state.EVENT_TRANSITIONS[role])
    targets = {new for row in state.EVENT_TRANSITIONS[role].values() for new in row.values()}
    targets |= {new for _, who, _, new in state.FLAG_TRANSITIONS if who is role}
    targets |= {new for who, new in state.JOINT_TRANSITIONS.values() if who is role}

    assert targets <= states


def test_sentinels_are_their_own_type_and_print_as_their_name() -> None:
    for name in ("CLIENT", "SERVER", "IDLE", "DONE", "MIGHT_SWITCH_PROTOCOL", "NEED_DATA", "PAUSED"):
        sentinel = getattr(protocol, name)
        assert type(sentinel) is sentinel
        assert name == repr(sentinel)


def test_each_close_reason_is_one_sentence() -> None:
    sentences = [reason.value for reason in protocol.CloseReason]

    assert all(sentence.endswith(".") for sentence in sentences)
    assert len(set(sentences)) == len(sentences)
