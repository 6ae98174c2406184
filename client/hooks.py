"""requests' hooks: ``hooks={"response": function}`` on a request or a session; the one event is ``"response"``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["HOOKS", "default_hooks", "dispatch_hook"]

#: The events that there are.
HOOKS = ["response"]


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
