"""The HTTP side: metrics, liveness, refusals as JSON."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import grpc
import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from timebank.errors import MEANINGS, Reason, TimebankError
from timebank.http import HTTP_STATUS, HttpServer, build_app
from timebank.server.listening import Address, listen


async def hello(request: Request) -> Response:
    return PlainTextResponse("hello")


async def refuse(request: Request) -> Response:
    raise TimebankError(Reason(request.query_params["reason"]), "expected x, got y")


async def fail(request: Request) -> Response:
    raise KeyError("secret")


ROUTES = [Route("/hello", hello), Route("/refuse", refuse), Route("/fail", fail)]


@asynccontextmanager
async def client(
    registry: CollectorRegistry | None = None,
    *,
    serving: bool = True,
    routes: Sequence[BaseRoute] = ROUTES,
) -> AsyncIterator[httpx.AsyncClient]:
    """A client of a server on a real socket."""
    app = build_app(registry or CollectorRegistry(), serving=lambda: serving, routes=routes)
    server = HttpServer(app, listen("http_address", Address("127.0.0.1", 0)))
    server.start(lambda name, serving: asyncio.get_running_loop().create_task(serving))
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.stop()


async def test_metrics_are_those_of_the_registry() -> None:
    registry = CollectorRegistry()
    Counter("visits", "Visits.", registry=registry).inc(3)
    async with client(registry) as session:
        response = await session.get("/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    assert "visits_total 3.0" in response.text


@pytest.mark.parametrize(("serving", "status"), [(True, 200), (False, 503)])
async def test_liveness_is_whether_the_server_serves(serving: bool, status: int) -> None:
    async with client(serving=serving) as session:
        assert (await session.get("/healthz")).status_code == status


async def test_routes_of_services_are_served() -> None:
    async with client() as session:
        assert (await session.get("/hello")).text == "hello"
        assert (await session.get("/unknown")).status_code == 404


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (Reason.VALIDATION_FAILED, 400),
        (Reason.TOKEN_INVALID, 401),
        (Reason.SCOPE_MISSING, 403),
        (Reason.ENTRY_NOT_FOUND, 404),
        (Reason.QUEUE_FULL, 429),
        (Reason.SHUTTING_DOWN, 503),
    ],
)
async def test_a_refusal_is_answered_as_json(reason: Reason, status: int) -> None:
    async with client() as session:
        response = await session.get("/refuse", params={"reason": reason.value})
    assert response.status_code == status
    assert response.json() == {"error": {"reason": reason.value, "message": "expected x, got y"}}


def test_every_status_of_a_reason_has_a_status_of_http() -> None:
    assert {meaning.status for meaning in MEANINGS.values()} <= set(HTTP_STATUS)
    assert grpc.StatusCode.OK not in HTTP_STATUS


async def test_an_unexpected_exception_tells_the_caller_nothing() -> None:
    async with client() as session:
        response = await session.get("/fail")
    assert response.status_code == 500
    assert "secret" not in response.text
