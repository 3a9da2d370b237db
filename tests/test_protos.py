"""The contract keeps the house rules, and buf finds neither lint nor a break with what landed."""

import pathlib
import re
import shutil
from typing import Any

import pytest
from google.api import annotations_pb2, field_behavior_pb2
from google.protobuf import descriptor_pb2

from tests.support.contracts import (
    PROTOS,
    buf,
    compile_protos,
    landed_protos,
    messages,
    methods,
)
from timebank.options.v1 import options_pb2

Field = descriptor_pb2.FieldDescriptorProto
Contract = descriptor_pb2.FileDescriptorSet
# Their stubs do not say whose options they extend.
HTTP: Any = annotations_pb2.http
FIELD_BEHAVIOR: Any = field_behavior_pb2.field_behavior


@pytest.fixture(scope="module")
def contract() -> Contract:
    """The contract of the working tree."""
    return compile_protos()


def changed(contract: Contract, name: str) -> tuple[Contract, descriptor_pb2.FileDescriptorProto]:
    """A copy of the contract, and in it the file to change."""
    copy = Contract()
    copy.CopyFrom(contract)
    return copy, next(file for file in copy.file if file.name == name)


def reachable_from_requests(contract: Contract) -> set[str]:
    """The names of our messages that a caller may have to fill in."""
    known = messages(contract)
    pending = [method.input_type for method in methods(contract).values()]
    seen: set[str] = set()
    while pending:
        name = pending.pop()
        if name in known and name not in seen:
            seen.add(name)
            pending.extend(field.type_name for field in known[name].field if field.type_name)
    return seen


def fields_without_behaviour(contract: Contract) -> list[str]:
    """Fields of requests that do not say whether they are required; a oneof says it by itself."""
    known = messages(contract)
    return [
        f"{name}.{field.name}"
        for name in sorted(reachable_from_requests(contract))
        for field in known[name].field
        if not field.options.Extensions[FIELD_BEHAVIOR]
        and (field.proto3_optional or not field.HasField("oneof_index"))
    ]


def http_path(method: descriptor_pb2.MethodDescriptorProto) -> str:
    """The HTTP path of a method; empty without an annotation."""
    rule = method.options.Extensions[HTTP]
    pattern = rule.WhichOneof("pattern")
    return str(getattr(rule, pattern)) if pattern else ""


def is_unary(method: descriptor_pb2.MethodDescriptorProto) -> bool:
    """True when one request gets one answer."""
    return not (method.client_streaming or method.server_streaming)


def test_buf_has_nothing_to_complain_about(contract: Contract, tmp_path: pathlib.Path) -> None:
    assert buf("lint", contract=contract, folder=tmp_path) == []


def test_buf_complains_about_a_message_without_comment(tmp_path: pathlib.Path) -> None:
    shutil.copytree(PROTOS, tmp_path / "protos")
    with open(tmp_path / "protos/timebank/ledger/v1/hold.proto", "a", encoding="utf-8") as file:
        file.write("message Silent {\n  // Unit: minutes.\n  int64 BadName = 1;\n}\n")
    bad = compile_protos(tmp_path / "protos")
    complaints = "\n".join(buf("lint", contract=bad, folder=tmp_path))
    assert 'Message "Silent" should have a non-empty comment' in complaints
    assert 'Field name "BadName" should be lower_snake_case' in complaints


def test_nothing_that_landed_is_broken(contract: Contract, tmp_path: pathlib.Path) -> None:
    landed = tmp_path / "landed.binpb"
    landed.write_bytes(compile_protos(landed_protos(tmp_path)).SerializeToString())
    assert buf("breaking", "--against", str(landed), contract=contract, folder=tmp_path) == []


def test_a_renumbered_field_breaks_the_contract(contract: Contract, tmp_path: pathlib.Path) -> None:
    landed = tmp_path / "landed.binpb"
    landed.write_bytes(contract.SerializeToString())
    bad, file = changed(contract, "timebank/ledger/v1/hold.proto")
    file.message_type[0].field[0].number = 999
    complaints = buf("breaking", "--against", str(landed), contract=bad, folder=tmp_path)
    assert any('field "1"' in line for line in complaints)


def test_every_method_says_who_may_call_it(contract: Contract) -> None:
    silent = [
        path
        for path, method in methods(contract).items()
        if not method.options.HasExtension(options_pb2.permission)
    ]
    assert silent == []


def test_a_permission_is_public_or_names_kinds_never_both(contract: Contract) -> None:
    permissions = {
        path: method.options.Extensions[options_pb2.permission]
        for path, method in methods(contract).items()
    }
    assert [
        path
        for path, permission in permissions.items()
        if permission.public == bool(permission.allow)
    ] == []
    assert [path for path, permission in permissions.items() if 0 in permission.allow] == []


def test_every_unary_method_has_an_http_path(contract: Contract) -> None:
    missing = [
        path
        for path, method in methods(contract).items()
        if is_unary(method) and not http_path(method).startswith("/v1/")
    ]
    assert missing == []


def test_no_two_methods_share_verb_and_path(contract: Contract) -> None:
    routes = [
        (method.options.Extensions[HTTP].WhichOneof("pattern"), http_path(method))
        for method in methods(contract).values()
        if is_unary(method)
    ]
    assert sorted(routes) == sorted(set(routes))


def test_the_variables_of_an_http_path_are_fields_of_the_request(contract: Contract) -> None:
    known = messages(contract)
    strangers = [
        f"{path}: {variable}"
        for path, method in methods(contract).items()
        for variable in re.findall(r"\{(\w+)", http_path(method))
        if variable not in {field.name for field in known[method.input_type].field}
    ]
    assert strangers == []


def test_every_field_of_a_request_says_whether_it_is_required(contract: Contract) -> None:
    assert fields_without_behaviour(contract) == []


def test_a_field_without_behaviour_is_noticed(contract: Contract) -> None:
    bad, file = changed(contract, "timebank/ledger/v1/ledger_service.proto")
    request = next(item for item in file.message_type if item.name == "GetHoldRequest")
    request.field[0].ClearField("options")
    assert fields_without_behaviour(bad) == [".timebank.ledger.v1.GetHoldRequest.name"]


def test_every_mutation_carries_a_required_request_id(contract: Contract) -> None:
    known = messages(contract)
    items = {field.name: field for field in known[".timebank.ledger.v1.BatchItem"].field}
    assert "request_id" in items, "the items of a batch carry theirs"
    behaviours = {
        path: [
            list(field.options.Extensions[FIELD_BEHAVIOR])
            for field in known[method.input_type].field
            if field.name == "request_id"
        ]
        for path, method in methods(contract).items()
        if method.options.Extensions[HTTP].WhichOneof("pattern") == "post"
        and not path.endswith("/BatchExecute")
    }
    assert {path for path, found in behaviours.items() if found != [[2]]} == set()


def test_every_list_is_paged(contract: Contract) -> None:
    known = messages(contract)
    unpaged = [
        path
        for path, method in methods(contract).items()
        if path.partition("/")[2].startswith("List")
        and not (
            {"page_size", "page_token"} <= {field.name for field in known[method.input_type].field}
            and "next_page_token" in {field.name for field in known[method.output_type].field}
        )
    ]
    assert unpaged == []


def test_no_field_is_a_float(contract: Contract) -> None:
    floats = [
        f"{name}.{field.name}"
        for name, message in messages(contract).items()
        for field in message.field
        if field.type in (Field.TYPE_FLOAT, Field.TYPE_DOUBLE)
    ]
    assert floats == []
