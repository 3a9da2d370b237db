"""The contract as compiled descriptors: from the working tree, from git, or changed by a test.

Owns the calls to the compiler and to buf; a descriptor set is the one form in which they meet, so
that no module registry is needed.
"""

import importlib
import pathlib
import subprocess
import sys
import sysconfig
from collections.abc import Iterator

from google.protobuf import descriptor_pb2

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PROTOS = ROOT / "protos"
BUF_CONFIG = ROOT / "buf.yaml"
COMPILE_TIMEOUT_S = 120
# Options are fields of a descriptor only once the modules that define them are loaded.
for option_module in (
    *("google.api.annotations_pb2", "google.api.field_behavior_pb2", "google.api.field_info_pb2"),
    *("google.api.resource_pb2", "timebank.options.v1.options_pb2"),
):
    importlib.import_module(option_module)


def compile_protos(folder: pathlib.Path = PROTOS) -> descriptor_pb2.FileDescriptorSet:
    """Compiles every .proto below `folder`, with imports and comments; RuntimeError if invalid."""
    googleapis = sysconfig.get_paths()["purelib"]
    sources = sorted(str(path) for path in folder.rglob("*.proto"))
    flags = ["--include_imports", "--include_source_info", "--descriptor_set_out=/dev/stdout"]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{googleapis}"]
    done = _run([*command, *flags, *sources])
    if done.returncode != 0:
        raise RuntimeError(done.stderr.decode())
    return descriptor_pb2.FileDescriptorSet.FromString(done.stdout)


def buf(
    *arguments: str, contract: descriptor_pb2.FileDescriptorSet, folder: pathlib.Path
) -> list[str]:
    """Runs buf on the contract with the project's buf.yaml and returns what it complains about.

    `folder` takes the files it needs. RuntimeError when buf fails for another reason.
    """
    image = folder / "contract.binpb"
    image.write_bytes(contract.SerializeToString())
    program = pathlib.Path(sys.executable).parent / "buf"
    command = [str(program), arguments[0], str(image), "--config", str(BUF_CONFIG), *arguments[1:]]
    done = _run(command)
    complaints = done.stdout.decode().splitlines()
    # 0: nothing to say, 100: complaints; anything else is buf's own failure.
    if done.returncode not in (0, 100) or bool(complaints) != (done.returncode == 100):
        raise RuntimeError(f"buf answered {done.returncode}: {done.stderr.decode()}")
    return complaints


def landed_protos(folder: pathlib.Path) -> pathlib.Path:
    """Extracts the contract that callers already have into `folder` and returns its place.

    That is the main branch of the origin, else the newest tag, else the last commit; the working
    tree itself when nothing was committed yet.
    """
    tag = _git("describe", "--tags", "--abbrev=0").decode().strip()
    for revision in ("origin/main", tag, "HEAD"):
        if revision and (archive := _git("archive", "--format=tar", revision, "protos")):
            subprocess.run(["tar", "-x", "-C", str(folder)], input=archive, check=True)
            return folder / "protos"
    return PROTOS


def own_files(
    contract: descriptor_pb2.FileDescriptorSet,
) -> list[descriptor_pb2.FileDescriptorProto]:
    """The files of the contract that are ours, without what they import."""
    return [file for file in contract.file if file.name.startswith("timebank/")]


def messages(
    contract: descriptor_pb2.FileDescriptorSet,
) -> dict[str, descriptor_pb2.DescriptorProto]:
    """Every message of ours, nested ones included, by full name with a leading dot."""
    found: dict[str, descriptor_pb2.DescriptorProto] = {}

    def collect(prefix: str, candidates: Iterator[descriptor_pb2.DescriptorProto]) -> None:
        for message in candidates:
            found[f"{prefix}.{message.name}"] = message
            collect(f"{prefix}.{message.name}", iter(message.nested_type))

    for file in own_files(contract):
        collect(f".{file.package}", iter(file.message_type))
    return found


def methods(
    contract: descriptor_pb2.FileDescriptorSet,
) -> dict[str, descriptor_pb2.MethodDescriptorProto]:
    """Every method of ours by its path `package.Service/Method`."""
    return {
        f"{file.package}.{service.name}/{method.name}": method
        for file in own_files(contract)
        for service in file.service
        for method in service.method
    }


def _git(*arguments: str) -> bytes:
    """Standard output of a git command; empty when it fails, as outside a repository."""
    done = _run(["git", "-C", str(ROOT), *arguments])
    return done.stdout if done.returncode == 0 else b""


def _run(command: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(command, capture_output=True, check=False, timeout=COMPILE_TIMEOUT_S)
