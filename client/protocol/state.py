"""The life cycle of an HTTP/1.1 connection, as tables.

Everything that decides whether an event is legal lives here; nothing here knows which role is ours, so local
and remote mistakes are judged by the same rule. Two machines, one a role, move in three ways, each with its
table:

- `EVENT_TRANSITIONS`: the role, or for `Request` also the server, sees an event.
- `FLAG_TRANSITIONS`: keep-alive is off, or a switch of protocols is proposed, or no longer.
- `JOINT_TRANSITIONS`: the other role's state alone has consequences.

`state_diagram` draws them; docs/sans-io.md shows the drawing. RFC 9112 section 9, RFC 9110 sections 7.8 and
9.3.6.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, Final, TypeAlias

from .errors import LocalProtocolError
from .events import ConnectionClosed, Data, EndOfMessage, InformationalResponse, Request, Response
from .framing import comma_list, has_close

__all__ = [
    "CLIENT",
    "CLOSED",
    "DONE",
    "ERROR",
    "IDLE",
    "MIGHT_SWITCH_PROTOCOL",
    "MUST_CLOSE",
    "NEED_DATA",
    "PAUSED",
    "READING_STATES",
    "SEND_BODY",
    "SEND_RESPONSE",
    "SERVER",
    "SWITCHED_PROTOCOL",
    "SWITCH_STATES",
    "CloseReason",
    "ConnectionState",
    "Sentinel",
    "state_diagram",
]


class Sentinel(type):
    """A value that is its own type, so that ``type(event)`` tells events and sentinels alike; prints as its name."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any]) -> Sentinel:
        """Make the class, and make it its own type."""
        sentinel = super().__new__(mcs, name, bases, namespace)
        sentinel.__class__ = sentinel  # type: ignore[assignment]  # its own type, as promised
        return sentinel

    def __repr__(cls) -> str:
        return cls.__name__


class CLIENT(Sentinel, metaclass=Sentinel):
    """The role that sends requests."""


class SERVER(Sentinel, metaclass=Sentinel):
    """The role that sends responses."""


class IDLE(Sentinel, metaclass=Sentinel):
    """Nothing was sent in this cycle."""


class SEND_RESPONSE(Sentinel, metaclass=Sentinel):
    """The server saw a request and owes a response."""


class SEND_BODY(Sentinel, metaclass=Sentinel):
    """The head is out; the body, maybe empty, and the end of the message are not."""


class DONE(Sentinel, metaclass=Sentinel):
    """The message is complete, and the connection may serve another cycle."""


class MUST_CLOSE(Sentinel, metaclass=Sentinel):
    """The message is complete, and all that may follow is the end of the connection."""


class CLOSED(Sentinel, metaclass=Sentinel):
    """This side has closed its half."""


class MIGHT_SWITCH_PROTOCOL(Sentinel, metaclass=Sentinel):
    """The client proposed another protocol and waits for the server's answer."""


class SWITCHED_PROTOCOL(Sentinel, metaclass=Sentinel):
    """The bytes on this connection are no longer HTTP."""


class ERROR(Sentinel, metaclass=Sentinel):
    """This side broke the protocol; no way leads out."""


class NEED_DATA(Sentinel, metaclass=Sentinel):
    """`Connection.next_event` cannot go on without more bytes."""


class PAUSED(Sentinel, metaclass=Sentinel):
    """`Connection.next_event` will not go on until the cycle ends, whatever bytes there are."""


class _UpgradeAccepted:
    """In the tables: an `InformationalResponse` with 101 (Switching Protocols)."""


class _ConnectAccepted:
    """In the tables: a `Response` with 2xx to a CONNECT request."""


class _RequestSeen:
    """In the tables: the server sees the client's `Request`."""


Role: TypeAlias = type[Sentinel]
State: TypeAlias = type[Sentinel]


class CloseReason(Enum):
    """Why a connection must not carry another cycle; the value is the explanation, one sentence."""

    REQUEST_SAYS_CLOSE = "The request said Connection: close."
    RESPONSE_SAYS_CLOSE = "The response said Connection: close."
    HTTP_1_0 = "The peer speaks HTTP/1.0, which closes after every response."
    READ_UNTIL_CLOSE = "Only the end of the connection ends the body of the response."
    FRAMING_FAULT = "The response had framing fields that its status code or its HTTP version forbids."
    BARE_LINE_FEED = "The response head ended its lines with LF instead of CRLF."
    LEADING_EMPTY_LINE = (
        "An empty line came before the response: something of the previous one was left over."
    )
    UNEXPECTED_DATA = "The peer sent bytes that belong to no request."
    PROTOCOL_SWITCHED = "The connection now speaks another protocol."
    CLOSED = "One side has closed its half of the connection."
    ERROR = "One side broke the protocol, or sending failed."


# A missing event is the sender's protocol error. A server may respond while IDLE: 408 to a client that never
# spoke, 400 to one that spoke no HTTP.
EVENT_TRANSITIONS: Final[dict[Role, dict[State, dict[type, State]]]] = {
    CLIENT: {
        IDLE: {Request: SEND_BODY, ConnectionClosed: CLOSED},
        SEND_BODY: {Data: SEND_BODY, EndOfMessage: DONE},
        DONE: {ConnectionClosed: CLOSED},
        MUST_CLOSE: {ConnectionClosed: CLOSED},
        CLOSED: {ConnectionClosed: CLOSED},
        MIGHT_SWITCH_PROTOCOL: {},
        SWITCHED_PROTOCOL: {},
        ERROR: {},
    },
    SERVER: {
        IDLE: {_RequestSeen: SEND_RESPONSE, Response: SEND_BODY, ConnectionClosed: CLOSED},
        SEND_RESPONSE: {
            InformationalResponse: SEND_RESPONSE,
            _UpgradeAccepted: SWITCHED_PROTOCOL,
            Response: SEND_BODY,
            _ConnectAccepted: SWITCHED_PROTOCOL,
        },
        SEND_BODY: {Data: SEND_BODY, EndOfMessage: DONE},
        DONE: {ConnectionClosed: CLOSED},
        MUST_CLOSE: {ConnectionClosed: CLOSED},
        CLOSED: {ConnectionClosed: CLOSED},
        SWITCHED_PROTOCOL: {},
        ERROR: {},
    },
}

#: The fields of a request that steer the connection.
STEERING: Final = frozenset({b"connection", b"upgrade"})

#: The states in which a peer's bytes are parsed, and those in which they are no longer HTTP.
READING_STATES: Final = frozenset({IDLE, SEND_RESPONSE, SEND_BODY})
SWITCH_STATES: Final = frozenset({MIGHT_SWITCH_PROTOCOL, SWITCHED_PROTOCOL})

SWITCH_PROPOSED: Final = "a switch is proposed"
NO_SWITCH_PROPOSED: Final = "no switch is proposed"
KEEP_ALIVE_OFF: Final = "keep-alive is off"

# In order of precedence: a proposed switch goes before the close, since after it the connection is not ours
# to close.
FLAG_TRANSITIONS: Final[tuple[tuple[str, Role, State, State], ...]] = (
    (SWITCH_PROPOSED, CLIENT, DONE, MIGHT_SWITCH_PROTOCOL),
    (NO_SWITCH_PROPOSED, CLIENT, MIGHT_SWITCH_PROTOCOL, DONE),
    (KEEP_ALIVE_OFF, CLIENT, DONE, MUST_CLOSE),
    (KEEP_ALIVE_OFF, SERVER, DONE, MUST_CLOSE),
)

# (client's state, server's state): who moves, and where to.
JOINT_TRANSITIONS: Final[dict[tuple[State, State], tuple[Role, State]]] = {
    (MIGHT_SWITCH_PROTOCOL, SWITCHED_PROTOCOL): (CLIENT, SWITCHED_PROTOCOL),
    (CLOSED, DONE): (SERVER, MUST_CLOSE),
    (CLOSED, IDLE): (SERVER, MUST_CLOSE),
    (ERROR, DONE): (SERVER, MUST_CLOSE),
    (DONE, CLOSED): (CLIENT, MUST_CLOSE),
    (IDLE, CLOSED): (CLIENT, MUST_CLOSE),
    (DONE, ERROR): (CLIENT, MUST_CLOSE),
}


class ConnectionState:
    """Both roles' states, and the flags that couple them.

    Attributes:
        states: The state of each role. Changed only by the methods here.
        close_reason: Why keep-alive is off; None while it is on. The first reason stays.
    """

    __slots__ = ("_is_coupled", "_proposals", "close_reason", "states")

    def __init__(self) -> None:
        self.states: dict[Role, State] = {CLIENT: IDLE, SERVER: IDLE}
        self.close_reason: CloseReason | None = None
        self._proposals: frozenset[type] = frozenset()
        # Until a switch is proposed, keep-alive is off, or one side closed or failed, no transition is due
        # but those of events; nearly all cycles end before that.
        self._is_coupled = False

    def process_request(self, role: Role, request: Request) -> None:
        """*role* sent *request*, which by its method or its fields may propose to switch protocols, or to close.

        Raises:
            LocalProtocolError: Not in this state, or not in this role.
        """
        states = self.states
        sender = EVENT_TRANSITIONS[role][states[role]].get(Request)
        server = EVENT_TRANSITIONS[SERVER][states[SERVER]].get(_RequestSeen)
        if sender is None or server is None:
            raise self._illegal(role if sender is None else SERVER, Request)
        states[role] = sender
        states[SERVER] = server
        if request._method == b"CONNECT":
            self._propose(_ConnectAccepted)
        if request._http_version == b"1.1" and STEERING.isdisjoint(request._headers.control):
            return  # nearly every request
        control = request._headers.control
        modern = request._http_version >= b"1.1"
        # From HTTP/1.0 Upgrade means nothing (RFC 9110 section 7.8).
        if modern and b"upgrade" in control and comma_list(control, b"upgrade"):
            self._propose(_UpgradeAccepted)
        if b"connection" in control and control[b"connection"] != b"keep-alive" and has_close(control):
            self.disable_keep_alive(CloseReason.REQUEST_SAYS_CLOSE)
        if not modern:
            self.disable_keep_alive(CloseReason.HTTP_1_0)

    def process_response(self, role: Role, response: Response) -> State:
        """*role* sent *response*, which may accept to switch protocols, or ask to close; return its new state.

        Raises:
            LocalProtocolError: Not in this state or not in this role.
        """
        if self._proposals:
            new_state = self._answer_proposals(role, response._status_code)
        else:
            new_state = self._move(role, Response, Response)
        control = response._headers.control
        if b"connection" in control and control[b"connection"] != b"keep-alive" and has_close(control):
            self.disable_keep_alive(CloseReason.RESPONSE_SAYS_CLOSE)
        if response._http_version < b"1.1":
            self.disable_keep_alive(CloseReason.HTTP_1_0)
        return new_state

    def process_informational(self, role: Role, status_code: int) -> None:
        """*role* sent an `InformationalResponse`.

        Raises:
            LocalProtocolError: Not in this state or not in this role, or a switch that was not proposed.
        """
        if status_code != 101:
            self._move(role, InformationalResponse, InformationalResponse)
        elif _UpgradeAccepted in self._proposals:
            self._move(role, _UpgradeAccepted, InformationalResponse)
            self._settle()
        else:
            raise LocalProtocolError("101 (Switching Protocols) although the request proposed no upgrade")

    def process_event(self, role: Role, event_type: type) -> None:
        """*role* sent `Data`, `EndOfMessage` or `ConnectionClosed`.

        Raises:
            LocalProtocolError: Not in this state.
        """
        states = self.states
        new_state = EVENT_TRANSITIONS[role][states[role]].get(event_type)  # as `_move`, a call less
        if new_state is None:
            raise self._illegal(role, event_type)
        states[role] = new_state
        if event_type is ConnectionClosed:
            self._is_coupled = True
        if self._is_coupled:
            self._settle()

    def process_error(self, role: Role) -> None:
        """*role* broke the protocol, or could not send what it had announced."""
        self.states[role] = ERROR
        self._is_coupled = True
        self._settle()

    def disable_keep_alive(self, reason: CloseReason) -> None:
        """This cycle is the connection's last."""
        if self.close_reason is None:
            self.close_reason = reason
            self._is_coupled = True
            self._settle()

    def start_next_cycle(self) -> None:
        """Go back to IDLE.

        Raises:
            LocalProtocolError: One of the roles is not DONE.
        """
        states = self.states
        if not (states[CLIENT] is DONE and states[SERVER] is DONE):
            raise LocalProtocolError(f"not in a reusable state: {states}")
        states[CLIENT] = states[SERVER] = IDLE

    def _propose(self, accepted: type) -> None:
        self._proposals |= {accepted}
        self._is_coupled = True

    def _answer_proposals(self, role: Role, status_code: int) -> State:
        if status_code < 300 and _ConnectAccepted in self._proposals:
            self._move(role, _ConnectAccepted, Response)
        else:
            self._move(role, Response, Response)
            self._proposals = frozenset()
        self._settle()
        return self.states[role]

    def _move(self, role: Role, key: type, event_type: type) -> State:
        new_state = EVENT_TRANSITIONS[role][self.states[role]].get(key)
        if new_state is None:
            raise self._illegal(role, event_type)
        self.states[role] = new_state
        return new_state

    def _illegal(self, role: Role, event_type: type) -> LocalProtocolError:
        return LocalProtocolError(
            f"can't handle event type {event_type.__name__} when role={role} and state={self.states[role]}"
        )

    def _settle(self) -> None:
        """Apply the transitions that no event triggers, until none applies."""
        states = self.states
        flags = (
            SWITCH_PROPOSED if self._proposals else NO_SWITCH_PROPOSED,
            None if self.close_reason is None else KEEP_ALIVE_OFF,
        )
        before = None
        while before != (states[CLIENT], states[SERVER]):
            before = (states[CLIENT], states[SERVER])
            for flag, role, state, new_state in FLAG_TRANSITIONS:
                if flag in flags and states[role] is state:
                    states[role] = new_state
            if joint := JOINT_TRANSITIONS.get((states[CLIENT], states[SERVER])):
                role, new_state = joint
                states[role] = new_state


def state_diagram(role: Role) -> str:
    """Draw the machine of *role*, from the tables, as a Mermaid state diagram."""
    arcs: dict[tuple[State, State], list[str]] = {}
    for state, events in EVENT_TRANSITIONS[role].items():
        for event, new_state in events.items():
            arcs.setdefault((state, new_state), []).append(_LABELS.get(event, event.__name__))
    for flag, who, state, new_state in FLAG_TRANSITIONS:
        if who is role:
            arcs.setdefault((state, new_state), []).append(f"({flag})")
    for (client, server), (who, new_state) in JOINT_TRANSITIONS.items():
        if who is role:
            state, other, name = (client, server, "server") if role is CLIENT else (server, client, "client")
            arcs.setdefault((state, new_state), []).append(f"({name} is {other})")
    lines = ["stateDiagram-v2", f"    [*] --> {IDLE}", f"    {ERROR}: {ERROR}, from anywhere"]
    lines += [
        f"    {state} --> {new_state}: {'<br>'.join(labels)}" for (state, new_state), labels in arcs.items()
    ]
    return "\n".join(lines) + "\n"


_LABELS: Final[dict[type, str]] = {
    _RequestSeen: "client's Request",
    _UpgradeAccepted: "InformationalResponse 101",
    _ConnectAccepted: "Response 2xx to CONNECT",
}
