"""Compiles protos/ to the committed modules under timebank/<service>/v1.

Owns the choice of generator. The output of grpcio-tools 1.71 runs unchanged on every later grpcio
and protobuf that we promise; the reverse fails at import. Run it with `make protos`, which makes an
environment with exactly that generator; with --check it changes nothing and exits 1 on a
difference.
"""

import argparse
import filecmp
import importlib.metadata
import pathlib
import subprocess
import sys
import sysconfig
import tempfile

GENERATOR_VERSIONS = {"grpcio-tools": "1.71.2", "mypy-protobuf": "3.6.0"}
ROOT = pathlib.Path(__file__).resolve().parent.parent


def wrong_generators() -> list[str]:
    """Names every generator whose installed version is not the pinned one."""
    found = {name: importlib.metadata.version(name) for name in GENERATOR_VERSIONS}
    return [
        f"{name}: expected {wanted}, got {found[name]}"
        for name, wanted in GENERATOR_VERSIONS.items()
        if found[name] != wanted
    ]


def generate(target: pathlib.Path) -> None:
    """Writes every generated module below `target`."""
    protos = sorted(str(path) for path in (ROOT / "protos").rglob("*.proto"))
    outputs = ["python_out", "grpc_python_out", "mypy_out", "mypy_grpc_out"]
    googleapis = sysconfig.get_paths()["purelib"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{ROOT / 'protos'}", f"-I{googleapis}"]
    scripts = pathlib.Path(sys.executable).parent
    for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc"):
        command.append(f"--plugin={name}={scripts / name}")
    subprocess.run([*command, *(f"--{name}={target}" for name in outputs), *protos], check=True)
    for folder in {path.parent for path in target.rglob("*_pb2.py")}:
        (folder / "__init__.py").touch()
        if folder.parent != target / "timebank":
            (folder.parent / "__init__.py").touch()


def differences(target: pathlib.Path) -> list[str]:
    """Lists the generated files that the committed tree lacks or has otherwise."""
    made = sorted(path.relative_to(target) for path in target.rglob("*.py*") if path.is_file())
    return [
        str(path)
        for path in made
        if not (ROOT / path).is_file() or not filecmp.cmp(target / path, ROOT / path, shallow=False)
    ]


def main() -> int:
    """Generates in place, or compares with --check."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="compare, change nothing")
    arguments = parser.parse_args()
    if wrong := wrong_generators():
        print("wrong generator, run `make protos`: " + "; ".join(wrong), file=sys.stderr)
        return 2
    if not arguments.check:
        generate(ROOT)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        generate(pathlib.Path(folder))
        stale = differences(pathlib.Path(folder))
    for path in stale:
        print(f"stale: {path}; run `make protos`", file=sys.stderr)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
