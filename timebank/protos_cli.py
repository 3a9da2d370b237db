"""`timebank protos`: the contract as files that other programs read.

Owns: the command line. Refuses: what is in the contract (see descriptors.py).
Rules: an error is one line on stderr and exit code 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

DESCRIPTORS_FILE = Path("data/descriptors.binpb")

app = typer.Typer(
    name="protos",
    help="Write the contract for other programs. 接口描述",
    no_args_is_help=True,
    rich_markup_mode="markdown",
)


@app.callback()
def protos() -> None:
    """Write the contract for other programs. 接口描述."""


@app.command(epilog="Example: `timebank protos descriptors --out /etc/envoy/descriptors.binpb`")
def descriptors(
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            help="File to write; deploy/envoy/envoy.yaml names it. 输出文件",
            dir_okay=False,
        ),
    ] = DESCRIPTORS_FILE,
) -> None:
    """Writes the descriptor set of every service, for HTTP/JSON through Envoy (写出接口描述)."""
    from timebank.descriptors import descriptor_set

    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(descriptor_set())
    typer.echo(f"Wrote {out}. Write it again after each upgrade, then restart Envoy.")
