"""A caller that is not Python: `buf curl` learns the contract by reflection and speaks JSON.

Owns the call of the program. Nothing of the product's own client or stubs takes part.
"""

import asyncio
import base64
import json
import pathlib
import sys
from typing import Any

from google.rpc import error_details_pb2

BUF = pathlib.Path(sys.executable).parent / "buf"
CALL_TIMEOUT_S = 60


class CurlError(Exception):
    """The server refused: what it answered as JSON, with `code`, `message` and `details`."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer, ensure_ascii=False))
        self.code = str(answer.get("code"))
        self.reasons = [
            error_details_pb2.ErrorInfo.FromString(_decode(detail["value"])).reason
            for detail in answer.get("details", [])
            if detail["type"] == "google.rpc.ErrorInfo"
        ]


class Curl:
    """Calls methods of one service at one plain-text address."""

    def __init__(self, address: str, service: str) -> None:
        self.base = f"http://{address}/{service}"

    async def __call__(self, method: str, **request: Any) -> dict[str, Any]:
        """Calls `method` with the request's JSON fields and returns the answer's; or CurlError."""
        out = await self._run("-d", json.dumps(request), f"{self.base}/{method}")
        answer: dict[str, Any] = json.loads(out)
        return answer

    async def methods(self) -> list[str]:
        """Lists the methods that the server reflects, as `package.Service/Method`."""
        return (await self._run("--list-methods", self.base.rsplit("/", 1)[0])).split()

    async def _run(self, *arguments: str) -> str:
        process = await asyncio.create_subprocess_exec(
            str(BUF),
            *("curl", "--protocol", "grpc", "--http2-prior-knowledge", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(CALL_TIMEOUT_S):
            out, err = await process.communicate()
        if process.returncode == 0:
            return out.decode()
        try:
            answer = json.loads(err)
        except json.JSONDecodeError:
            raise RuntimeError(f"buf curl answered {process.returncode}: {err.decode()}") from None
        raise CurlError(answer)


def _decode(text: str) -> bytes:
    """Decodes base64 that came without its padding."""
    return base64.b64decode(text + "=" * (-len(text) % 4))
