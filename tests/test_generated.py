"""The committed modules are what the contract says: a stale stub fails here."""

import importlib
import pathlib
import re

import pytest
from google.protobuf import descriptor_pb2

from tests.support.contracts import ROOT, compile_protos, own_files

GENERATOR_VERSION = "1.71.2"
SUFFIXES = ("_pb2.py", "_pb2.pyi", "_pb2_grpc.py", "_pb2_grpc.pyi")
PROTO_NAMES = sorted(
    str(path.relative_to(ROOT / "protos")) for path in (ROOT / "protos").rglob("*.proto")
)


@pytest.fixture(scope="module")
def compiled() -> dict[str, descriptor_pb2.FileDescriptorProto]:
    """The contract's files, compiled now, by name."""
    return {file.name: file for file in own_files(compile_protos())}


def bare(file: descriptor_pb2.FileDescriptorProto) -> descriptor_pb2.FileDescriptorProto:
    """Copies without comments and derived JSON names, which modules do not carry."""
    copy = descriptor_pb2.FileDescriptorProto()
    copy.CopyFrom(file)
    copy.ClearField("source_code_info")
    for field in copy.extension:
        field.ClearField("json_name")
    pending = list(copy.message_type)
    while pending:
        message = pending.pop()
        pending.extend(message.nested_type)
        for field in (*message.field, *message.extension):
            field.ClearField("json_name")
    return copy


def committed(name: str) -> descriptor_pb2.FileDescriptorProto:
    """The descriptor inside the committed module of a proto."""
    module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2")
    return descriptor_pb2.FileDescriptorProto.FromString(module.DESCRIPTOR.serialized_pb)


@pytest.mark.parametrize("name", PROTO_NAMES)
def test_the_module_of_a_proto_is_up_to_date(
    name: str, compiled: dict[str, descriptor_pb2.FileDescriptorProto]
) -> None:
    assert bare(committed(name)) == bare(compiled[name]), "run `make protos`"


@pytest.mark.parametrize("name", PROTO_NAMES)
def test_the_stub_of_a_proto_has_its_methods(
    name: str, compiled: dict[str, descriptor_pb2.FileDescriptorProto]
) -> None:
    module = importlib.import_module(name.removesuffix(".proto").replace("/", ".") + "_pb2_grpc")
    servicers = {
        key.removesuffix("Servicer"): {rpc for rpc in vars(value) if not rpc.startswith("_")}
        for key, value in vars(module).items()
        if key.endswith("Servicer")
    }
    wanted = {
        service.name: {method.name for method in service.method}
        for service in compiled[name].service
    }
    assert servicers == wanted


def test_a_changed_field_is_noticed(
    compiled: dict[str, descriptor_pb2.FileDescriptorProto],
) -> None:
    name = "timebank/ledger/v1/hold.proto"
    changed = bare(compiled[name])
    changed.message_type[0].field[0].name += "_renamed"
    assert bare(committed(name)) != changed


def test_every_proto_has_its_four_modules_and_no_module_is_an_orphan() -> None:
    packages = {pathlib.Path("timebank") / path for path in ("ledger", "options")}
    packages |= {(pathlib.Path(name)).parent.parent for name in PROTO_NAMES}
    found = {
        str(path.relative_to(ROOT))
        for package in packages
        for suffix in SUFFIXES
        for path in (ROOT / package).rglob(f"*{suffix}")
    }
    wanted = {name.removesuffix(".proto") + suffix for name in PROTO_NAMES for suffix in SUFFIXES}
    assert found == wanted


@pytest.mark.parametrize("name", PROTO_NAMES)
def test_the_modules_come_from_the_oldest_generator_we_promise(name: str) -> None:
    text = (ROOT / name.replace(".proto", "_pb2_grpc.py")).read_text(encoding="utf-8")
    assert re.findall(r"GRPC_GENERATED_VERSION = '(.+)'", text) == [GENERATOR_VERSION]
