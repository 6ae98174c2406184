"""requests' hooks: ``hooks={"response": function}`` on a request or a session; the one event is ``"response"``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from client.exceptions import InvalidRequest

__all__ = ["HOOKS", "Hooked", "Hooks", "checked_mapping", "default_hooks", "dispatch_hook", "functions_of"]

#: The events that there are.
HOOKS = ["response"]

#: Event -> functions.
Hooks: TypeAlias = dict[str, list[Callable[..., Any]]]


class Hooked:
    """The hooks of a request: event -> functions; the one event is ``"response"``."""

    hooks: Hooks

    def register_hook(self, event: str, hook: Any) -> None:
        """Add a hook.

        Args:
            event: ``"response"``.
            hook: A callable, or an iterable of callables; None adds none.

        Raises:
            InvalidRequest: (a ValueError) Another event, or something that is not callable.
        """
        if event not in self.hooks:
            raise InvalidRequest(f"hooks= knows no event {event!r}; there is 'response'")
        for each in functions_of(hook):
            self.hooks[event].append(each)

    def register_hooks(self, hooks: Mapping[str, Any] | None) -> None:
        """Add each hook of *hooks*, a mapping of events.

        Raises:
            InvalidRequest: It is no mapping, or see `register_hook`.
        """
        if hooks is None:
            return
        for event, hook in checked_mapping(hooks).items():
            self.register_hook(event, hook)

    def deregister_hook(self, event: str, hook: Callable[..., Any]) -> bool:
        """Remove a hook; return whether it was there."""
        try:
            self.hooks[event].remove(hook)
        except ValueError:
            return False
        return True


def checked_mapping(hooks: Any) -> Any:
    """Return *hooks* if it is a mapping.

    Raises:
        InvalidRequest: It is none.
    """
    if not isinstance(hooks, Mapping):
        raise InvalidRequest(f"hooks= must be a mapping of events to callables, not {type(hooks).__name__}")
    return hooks


def functions_of(hook: Any) -> list[Callable[..., Any]]:
    """Return what stands for an event, a callable, several, or None, as a list.

    Raises:
        InvalidRequest: It holds something that is not callable.
    """
    if hook is None or callable(hook):
        return [] if hook is None else [hook]
    functions = list(hook) if hasattr(hook, "__iter__") else [hook]
    for each in functions:
        if not callable(each):
            raise InvalidRequest(f"hooks= must hold callables, not {type(each).__name__}")
    return functions


def default_hooks() -> dict[str, list[Callable[..., Any]]]:
    """Return a mapping with no hook for each event."""
    return {event: [] for event in HOOKS}


def dispatch_hook(key: str, hooks: Mapping[str, Any] | None, hook_data: Any, **kwargs: Any) -> Any:
    """Call the hooks of event *key* one after the other.

    Args:
        key: The event.
        hooks: Event to a callable or several.
        hook_data: Given to the first; what a hook returns, unless None, goes on in its place.
        kwargs: Given to each hook.

    Returns:
        What came out in the end.
    """
    found = (hooks or {}).get(key) or []
    for hook in [found] if callable(found) else found:
        replacement = hook(hook_data, **kwargs)
        if replacement is not None:
            hook_data = replacement
    return hook_data
