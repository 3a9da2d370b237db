"""The source tree keeps the rules of its architecture, and each rule catches what it is for."""

import pathlib

import pytest

from tests.support import architecture
from tests.support.architecture import (
    IMPORT_RULES,
    SHAPE_RULES,
    TEST_RULES,
    Module,
    Rule,
    modules,
    parse,
)

ROOT = pathlib.Path(__file__).resolve().parent.parent
PRODUCT = ("timebank", *architecture.SERVICES)
LONG_FUNCTION = "def long():\n" + "    x = 1\n" * architecture.FUNCTION_LINES_MAX
LONG_MODULE = '"""Long."""\n' + "x = 1\n" * architecture.MODULE_LINES_MAX
# Put together here, so that this file does not suppress anything itself.
IGNORE = "x = 1  # type:" + " ignore"
NOQA = "x = 1  # no" + "qa"

VIOLATIONS = [
    ("services_are_strangers", "ledger.usecases.holds", "import merchant.domain.offer"),
    ("services_are_strangers", "matching.ledger_client", "from ledger.domain import entry"),
    ("services_are_strangers", "merchant.service", "from matching import service"),
    ("shared_package_knows_no_service", "timebank.server", "import ledger.service"),
    ("shared_package_knows_no_service", "timebank.client.posts", "from ledger import wire"),
    ("domain_is_pure", "ledger.domain.book", "import time"),
    ("domain_is_pure", "ledger.domain.book", "from os import path"),
    ("domain_is_pure", "ledger.domain.book", "import random"),
    ("domain_is_pure", "merchant.domain.offer", "import grpc"),
    ("domain_is_pure", "matching.domain.planner", "from sqlalchemy import select"),
    ("domain_is_pure", "ledger.domain.entry", "from google.protobuf import message"),
    ("domain_is_pure", "ledger.domain.entry", "from ledger.store import entries"),
    ("domain_is_pure", "ledger.domain.entry", "from timebank import config"),
    ("domain_is_pure", "ledger.domain.entry", "from timebank.signing import KeyRing"),
    ("domain_is_pure", "timebank.tlog.tiles", "from timebank.signing import KeyRing"),
    ("domain_is_pure", "timebank.tlog.merkle", "import cryptography"),
    ("usecases_know_no_transport", "ledger.usecases.holds", "import grpc.aio"),
    ("usecases_know_no_transport", "ledger.usecases.holds", "from sqlalchemy import select"),
    (
        "usecases_know_no_transport",
        "ledger.usecases.holds",
        "from timebank.ledger.v1 import hold_pb2",
    ),
    ("sqlalchemy_stays_in_the_store", "ledger.sequencer", "import sqlalchemy"),
    ("sqlalchemy_stays_in_the_store", "ledger.rpc.holds", "from sqlalchemy.exc import DBAPIError"),
    ("sqlalchemy_stays_in_the_store", "timebank.paging", "from sqlalchemy import select"),
    ("sqlalchemy_stays_in_the_store", "timebank.store.rows", "from sqlalchemy import select"),
    (
        "messages_stay_at_the_edge",
        "ledger.store.holds",
        "from timebank.ledger.v1.hold_pb2 import Hold",
    ),
    ("messages_stay_at_the_edge", "timebank.auth", "from timebank.options.v1 import options_pb2"),
    (
        "messages_stay_at_the_edge",
        "ledger.sequencer",
        "import timebank.ledger.v1.ledger_service_pb2_grpc",
    ),
    ("imports_stand_at_the_top", "timebank.server", "def late():\n    import grpc"),
    ("imports_stand_at_the_top", "ledger.service", "async def late():\n    from a import b"),
    ("rooms_depend_one_way", "ledger.store.holds", "from ledger.usecases import holds"),
    ("rooms_depend_one_way", "ledger.domain.book", "import ledger.store.heads"),
    ("rooms_depend_one_way", "ledger.usecases.holds", "from ledger import wire"),
    ("rooms_depend_one_way", "ledger.rpc.holds", "from ledger.service import register"),
    ("rooms_depend_one_way", "ledger.ledger_client", "from ledger.usecases import holds"),
    ("rooms_depend_one_way", "ledger.lobby", "x = 1"),
    ("environment_is_read_by_config", "timebank.server", "import os\nos.environ['A']"),
    ("environment_is_read_by_config", "ledger.service", "import os\nos.getenv('A')"),
    ("environment_is_read_by_config", "ledger.cli", "from os import environ"),
    ("modules_are_short", "timebank.clock", LONG_MODULE),
    ("functions_are_short", "timebank.clock", LONG_FUNCTION),
    ("functions_are_short", "timebank.clock", f"class A:\n  async {LONG_FUNCTION}"),
    ("names_say_what_they_hold", "ledger.store.utils", "x = 1"),
    ("modules_say_what_they_own", "ledger.store.holds", "x = 1"),
    ("suppressions_say_why", "ledger.store.holds", IGNORE),
    ("suppressions_say_why", "ledger.store.holds", f"{IGNORE}[arg-type]"),
    ("suppressions_say_why", "ledger.store.holds", f"{NOQA}: E501"),
    ("tests_neither_wait_nor_skip", "tests.test_x", "import time\ntime.sleep(1)"),
    ("tests_neither_wait_nor_skip", "tests.test_x", "from asyncio import sleep\nsleep(0.1)"),
    ("tests_neither_wait_nor_skip", "tests.test_x", "import pytest\npytest.mark.skip"),
]
INNOCENTS = [
    ("ledger.domain.book", "import dataclasses\nfrom timebank.errors import Reason"),
    (
        "ledger.domain.book",
        "from ledger.domain import lot\nfrom timebank import errors, units, ids",
    ),
    ("timebank.tlog.note", "from timebank.signing import Signer\nimport hashlib"),
    ("timebank.__main__", "def serve():\n    import ledger.service"),
    ("timebank.config", "import os\nos.environ['A']"),
    ("timebank.database", "import sqlalchemy.ext.asyncio"),
    ("timebank.client.posts", "from timebank.ledger.v1 import command_pb2"),
    ("matching.ledger_client", "from timebank.ledger.v1 import ledger_service_pb2_grpc"),
    ("ledger.store.holds", "from sqlalchemy import select\nfrom ledger.domain import hold"),
    ("ledger.usecases.holds", "from ledger.store import holds\nfrom ledger import sequencer"),
    ("ledger.rpc.holds", "from ledger import wire\nfrom timebank.ledger.v1 import hold_pb2"),
    ("ledger.cli", "def post():\n    from timebank.client import LedgerClient"),
    ("ledger", ""),
]


def everything() -> list[Module]:
    """The product's modules; the shared package at least is always there."""
    found = modules(ROOT, *PRODUCT)
    assert "timebank.tlog.merkle" in {module.name for module in found}
    return found


@pytest.mark.parametrize("rule", [*IMPORT_RULES, *SHAPE_RULES], ids=lambda rule: rule.__name__)
def test_the_product_keeps_the_rule(rule: Rule) -> None:
    violations = [line for module in everything() for line in rule(module)]
    assert violations == []


@pytest.mark.parametrize("rule", [*SHAPE_RULES, *TEST_RULES], ids=lambda rule: rule.__name__)
def test_the_tests_keep_the_rule(rule: Rule) -> None:
    violations = [line for module in modules(ROOT, "tests") for line in rule(module)]
    assert violations == []


@pytest.mark.parametrize(("name", "module", "source"), VIOLATIONS)
def test_a_rule_catches_a_violation_and_says_where(name: str, module: str, source: str) -> None:
    rule: Rule = getattr(architecture, name)
    violations = list(rule(parse(module, source)))
    assert len(violations) == 1
    assert violations[0].startswith("snippet.py:")


def test_every_rule_has_a_violation_that_it_catches() -> None:
    rules = {rule.__name__ for rule in (*IMPORT_RULES, *SHAPE_RULES, *TEST_RULES)}
    assert {name for name, _, _ in VIOLATIONS} == rules


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        ("suppressions_say_why", f"{IGNORE}[arg-type]  # the stub is wrong"),
        ("suppressions_say_why", f"{NOQA}: E501  # a verbatim line"),
        ("tests_neither_wait_nor_skip", "import asyncio\nasyncio.sleep(0)"),
    ],
)
def test_a_suppression_with_a_reason_and_a_yield_pass(rule: str, source: str) -> None:
    assert list(getattr(architecture, rule)(parse("tests.test_x", source))) == []


@pytest.mark.parametrize(("module", "source"), INNOCENTS)
def test_the_import_rules_let_the_innocent_pass(module: str, source: str) -> None:
    assert [line for rule in IMPORT_RULES for line in rule(parse(module, source))] == []
