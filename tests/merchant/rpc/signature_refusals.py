"""What every call that a till signs refuses of its signature, and the words of such rows."""

from collections.abc import Callable, Mapping
from typing import Any

from tests.merchant.rpc.scenes import USED_NONCE, Refusal, Scene, terminal
from timebank.errors import Reason as R

V = R.VALIDATION_FAILED
Metadata = Callable[[Scene, str, Any], tuple[tuple[str, str], ...]]


def fixed(**fields: Any) -> Callable[[Scene], Mapping[str, Any]]:
    """Fields that do not hang on the scene."""
    return lambda scene: fields


def row(method: str, reason: R, about: str, **fields: Any) -> Refusal:
    """A call with other fields; `offer__price` is the field `price` of the field `offer`."""
    changes = fixed(**{path.replace("__", "."): value for path, value in fields.items()})
    return Refusal(method, reason, about, changes)


def unsigned(*_: object) -> tuple[tuple[str, str], ...]:
    """No signature at all."""
    return ()


def signed_by(word: str, owner: str = "shop") -> Metadata:
    """The signature of another till."""
    return lambda scene, method, request: scene.signature(method, request, terminal(word, owner))


def signed_as(**changes: Any) -> Metadata:
    """A signature of something else."""
    return lambda scene, method, request: scene.signature(method, request, **changes)


def _of_another_method(scene: Scene, _: str, request: Any) -> tuple[tuple[str, str], ...]:
    return scene.signature("LookupRedemption", request)


def _late(scene: Scene, method: str, request: Any) -> tuple[tuple[str, str], ...]:
    now_s = scene.till.world.clock.now_us() // 1_000_000
    return scene.signature(method, request, timestamp_s=now_s - 301)


def _without(key: str) -> Metadata:
    """A signature that lacks one of its keys."""

    def metadata(scene: Scene, method: str, request: Any) -> tuple[tuple[str, str], ...]:
        return tuple(pair for pair in scene.signature(method, request) if pair[0] != key)

    return metadata


def _short(scene: Scene, method: str, request: Any) -> tuple[tuple[str, str], ...]:
    return (*scene.signature(method, request)[:3], ("timebank-signature", "AAAA"))


def signature_rows(method: str) -> tuple[Refusal, ...]:
    """What every call that a till signs refuses of its signature."""
    bad = R.TERMINAL_SIGNATURE_INVALID
    rows: list[tuple[str, Metadata]] = [
        ("signed for another method", _of_another_method),
        (
            "signed for another request",
            signed_as(request_id="1" * 8 + "-1111-4111-8111-" + "1" * 12),
        ),
        ("signed for another amount", signed_as(amount=999_999)),
        ("signed for another code", signed_as(code="1" * 18)),
        ("a nonce of another call", signed_as(nonce=USED_NONCE)),
        ("five minutes late", _late),
        ("a short signature", _short),
        *((f"no {key}", _without(key)) for key in ("timebank-terminal", "timebank-nonce")),
        ("the till of another merchant", signed_by("t1", "barber")),
    ]
    return tuple(Refusal(method, bad, about, metadata=metadata) for about, metadata in rows)
