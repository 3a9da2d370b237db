"""Proofs of identity: a bearer token, a client certificate, or the development identity.

Owns: which proof wins and how each becomes a principal. Refuses: guessing an identity from an
address.
Rules: a token that is present is always verified, and wins over a certificate (a proxy's); a
certificate counts when the server asks for certificates; the development identity exists only
when the configuration names it.
"""

from collections.abc import Callable, Iterable, Mapping

from timebank.auth import Principal, PrincipalKind
from timebank.errors import Reason, TimebankError
from timebank.tokens import TokenVerifier

BEARER = "bearer "
SPIFFE = "spiffe://"
SPIFFE_PROPERTY = "peer_spiffe_id"
"""gRPC's name for the one URI of a verified peer certificate."""
CERTIFICATES_CACHED_MAX = 10_000
DEVELOPER = Principal(PrincipalKind.OPERATOR, "developer")

AuthContext = Mapping[str, Iterable[bytes]]


class Authenticator:
    """Says who calls."""

    def __init__(
        self, *, tokens: TokenVerifier | None, trust_domain: str, development: bool
    ) -> None:
        """Takes how tokens are verified, whose certificates count (nobody's: empty), and whether
        everybody without an identity is the developer.
        """
        self._tokens = tokens
        self._trust_domain = trust_domain
        self._default = DEVELOPER if development else None
        self._known: dict[bytes, Principal] = {}

    def principal(
        self, authorization: str | None, auth_context: Callable[[], AuthContext] | None = None
    ) -> Principal | None:
        """Gives the principal of a call, None without any identity.

        `authorization` is the header of that name; `auth_context` gives what TLS found out about
        the peer.
        Raises: TOKEN_INVALID when a token or certificate is shown that does not count here.

        """
        if authorization is not None:
            return self._bearer(authorization)
        if self._trust_domain and auth_context is not None:
            ids = list(auth_context().get(SPIFFE_PROPERTY, ()))
            if ids:
                return self._certificate(ids[0])
        return self._default

    def _bearer(self, authorization: str) -> Principal:
        if authorization[: len(BEARER)].lower() != BEARER:
            raise TimebankError(
                Reason.TOKEN_INVALID, "authorization: expected `Bearer TOKEN`, got another scheme"
            )
        if self._tokens is None:
            raise TimebankError(
                Reason.TOKEN_INVALID,
                "authorization: this server takes no tokens; send none, or set identity.jwks_file",
            )
        return self._tokens.principal(authorization[len(BEARER) :].strip())

    def _certificate(self, uri: bytes) -> Principal:
        known = self._known.get(uri)
        if known is None:
            known = principal_from_spiffe(uri.decode("ascii", "replace"), self._trust_domain)
            if len(self._known) >= CERTIFICATES_CACHED_MAX:
                self._known.clear()
            self._known[uri] = known
        return known


def principal_from_spiffe(uri: str, trust_domain: str) -> Principal:
    """Reads `spiffe://<domain>/<kind>/<id>`, or the same with `/ledgers/<ledger>` after the
    domain for a caller that is limited to one ledger. Raises: TOKEN_INVALID for anything else,
    and for another trust domain: one authority may sign for several (SPIFFE ID 2.1).

    """
    words = {kind.value: kind for kind in PrincipalKind}
    domain, _, path = uri.removeprefix(SPIFFE).partition("/")
    parts = path.split("/")
    ledgers = None
    if len(parts) == 4 and parts[0] == "ledgers" and parts[1]:
        ledgers = frozenset({parts[1]})
        parts = parts[2:]
    good = uri.startswith(SPIFFE) and domain == trust_domain and len(parts) == 2 and parts[1]
    if not good or parts[0] not in words:
        raise TimebankError(
            Reason.TOKEN_INVALID,
            f"client certificate: expected the URI spiffe://{trust_domain}/<kind>/<id> with a kind "
            f"of {', '.join(words)}, got {uri[:100]!r}",
        )
    return Principal(words[parts[0]], parts[1], ledgers)
