"""Find values in a JSON body by a path: keys and list positions with dots between, `*` for every item."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

EVENTS_MAX: Final = 500
VALUE_CHARACTERS_MAX: Final = 200


def value_at(body: Any, path: str) -> str:
    """Return what stands at a path, as text; empty when nothing or no plain value is there."""
    return _plain(_down(body, path))


def values_at(body: Any, path: str) -> list[str]:
    """Return all that stands at a path that may have `*` in it, as texts, those that say something."""
    head, star, tail = path.partition("*")
    if not star:
        return [value for value in (value_at(body, path),) if value]
    found = _down(body, head.strip("."))
    items = found if isinstance(found, list) else []
    return [value for item in items[:EVENTS_MAX] for value in values_at(item, tail.strip("."))]


def value_in(body: Any, key: str) -> Any:
    """Return what stands under a key, whatever it is; None when nothing does."""
    return body.get(key) if key and isinstance(body, Mapping) else None


def events_at(body: Any, path: str) -> list[Mapping[str, Any]]:
    """Return the events of a webhook; what stands around an event belongs to it as well.

    A step that a body does not have is passed over, for some vendors send one event without its list.

    Raises:
        ValueError: There are too many.
    """
    events: list[Mapping[str, Any]] = [
        {**around, **event} for around, event in _walk({}, body, [step for step in path.split(".") if step])
    ]
    if len(events) > EVENTS_MAX:
        raise ValueError(f"a webhook has at most {EVENTS_MAX} events")
    return events


def _down(body: Any, path: str) -> Any:
    """Return what stands at a path without `*`; None when nothing does."""
    found = body
    for step in filter(None, path.split(".")):
        if isinstance(found, Mapping) and step in found:
            found = found[step]
        elif isinstance(found, list) and step.isdecimal() and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def _walk(around: Mapping[str, Any], body: Any, steps: list[str]) -> Iterator[tuple[Mapping[str, Any], Any]]:
    if isinstance(body, list):
        below = steps[1:] if steps[:1] == ["*"] else steps
        for item in body:
            yield from _walk(around, item, below)
    elif isinstance(body, Mapping):
        step, *below = steps or [""]
        if step == "*":
            yield from _walk(around, body, below)
        elif step and step in body:
            rest = {key: value for key, value in body.items() if key != step}
            yield from _walk({**around, **rest}, body[step], below)
        elif step:
            yield from _walk(around, body, below)
        else:
            yield around, body


def _plain(found: Any) -> str:
    if isinstance(found, bool):
        return str(found).lower()
    if isinstance(found, str | int | float):
        return str(found).strip()[:VALUE_CHARACTERS_MAX]
    return ""
