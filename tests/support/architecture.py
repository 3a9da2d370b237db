"""Reads the source tree and checks the rules on imports, sizes and names.

Owns the rules as functions from a module to its violations, so that each can be tried on a snippet.
Works on the syntax alone: nothing is imported. Generated modules are not looked at.
"""

import ast
import pathlib
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
SERVICES = ("ledger", "matching", "merchant")
GENERATED_SUFFIXES = ("_pb2.py", "_pb2_grpc.py")
SHARED_WITH_DOMAIN = ("timebank.errors", "timebank.units", "timebank.ids")
IMPURE = {
    *("asyncio", "ctypes", "http", "io", "locale", "logging", "multiprocessing", "os", "pathlib"),
    *("random", "secrets", "select", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess"),
    *("sys", "tempfile", "threading", "time", "urllib", "uuid"),
}
SQLALCHEMY_HOMES = (
    "timebank.database",
    "timebank.idempotency",
    "timebank.outbox",
    "timebank.migrations",
)
PROTOBUF_ROOMS = ("rpc", "wire", "names", "service", "leaf")
PROTOBUF_HOMES = tuple(
    f"timebank.{name}"
    for name in (
        "errors",
        "server",
        "interceptors",
        "channels",
        "client",
        "verify_cli",
        "descriptors",
    )
)
ENVIRONMENT_HOMES = ("timebank.config", "timebank.__main__")
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
SUPPRESSION = re.compile(r"# (?:type: ignore|noqa)")
# The rule in brackets or after a colon, then another # and the reason.
EXPLAINED = re.compile(r"# (?:type: ignore\[[a-z, -]+\]|noqa: [A-Z0-9, ]+?) *# *\S")
SKIPS = {"skip", "skipif", "xfail", "importorskip"}
# A room may import the rooms on its own step and below: timebank <- domain <- ... <- service.
STEPS = {
    "domain": 0,
    "policies": 0,
    "holidays": 1,
    "leaf": 1,
    "store": 2,
    "sample": 3,
    "migrations": 2,
    "sequencer": 3,
    "batch": 3,
    "memory": 3,
    "metrics": 3,
    "tree": 3,
    "audit": 4,
    "usecases": 4,
    "names": 5,
    "wire": 5,
    "rpc": 6,
    "http": 6,
    "service": 7,
    "cli": 8,
}
CLIENT_STEP = 3


@dataclass(frozen=True, slots=True)
class Module:
    """One source file: its dotted name, and its syntax."""

    name: str
    path: str
    source: str
    tree: ast.Module

    @property
    def service(self) -> str | None:
        """The service the module belongs to; None for the shared package."""
        first = self.name.partition(".")[0]
        return first if first in SERVICES else None

    @property
    def room(self) -> str:
        """The second part of the name: `rpc` of `ledger.rpc.holds`; empty for a package itself."""
        return self.name.partition(".")[2].partition(".")[0]

    @property
    def is_command_line(self) -> bool:
        """True for the modules that serve a terminal: they may import late, to start fast."""
        return any(
            part in ("cli", "__main__", "imports")
            or part.startswith("cli_")
            or part.endswith("_cli")
            for part in self.name.split(".")
        )


Rule = Callable[[Module], Iterator[str]]


def parse(name: str, source: str, path: str = "snippet.py") -> Module:
    """Makes a module of its source text."""
    return Module(name=name, path=path, source=source, tree=ast.parse(source, path))


def modules(root: pathlib.Path, *packages: str) -> list[Module]:
    """Reads every written (not generated) module of the packages below `root`, by path."""
    found = []
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            if path.name.endswith(GENERATED_SUFFIXES):
                continue
            relative = path.relative_to(root)
            parts = relative.with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            found.append(parse(name, path.read_text(encoding="utf-8"), str(relative)))
    return found


def imports(module: Module) -> Iterator[tuple[int, str]]:
    """Yields (line, dotted name) of everything the module imports, wherever it does."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            prefix = f"{node.module}." if node.module else ""
            yield from ((node.lineno, f"{prefix}{alias.name}") for alias in node.names)


def within(name: str, *packages: str) -> bool:
    """True when the dotted name is one of the packages or lies in one."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def services_are_strangers(module: Module) -> Iterator[str]:
    """A service imports no other service."""
    if module.service is None:
        return
    others = [service for service in SERVICES if service != module.service]
    for line, name in imports(module):
        if within(name, *others):
            yield f"{module.path}:{line}: {module.service} imports {name}"


def shared_package_knows_no_service(module: Module) -> Iterator[str]:
    """`timebank` imports no service, except its `__main__`."""
    if not within(module.name, "timebank") or module.name == "timebank.__main__":
        return
    for line, name in imports(module):
        if within(name, *SERVICES):
            yield f"{module.path}:{line}: the shared package imports {name}"


def domain_is_pure(module: Module) -> Iterator[str]:
    """`domain/` and `timebank/tlog/` use the pure standard library and three shared modules."""
    if module.room == "domain" and module.service:
        home = f"{module.service}.domain"
    elif within(module.name, "timebank.tlog"):
        home = "timebank.tlog"
    else:
        return
    allowed = [home, *SHARED_WITH_DOMAIN]
    if module.name == "timebank.tlog.note":
        allowed.append("timebank.signing")
    for line, name in imports(module):
        first = name.partition(".")[0]
        pure = first in sys.stdlib_module_names and first not in IMPURE
        if not pure and not within(name, *allowed):
            yield f"{module.path}:{line}: a pure module imports {name}"


def usecases_know_no_transport(module: Module) -> Iterator[str]:
    """`usecases/` know neither gRPC nor SQL nor messages."""
    if module.room != "usecases":
        return
    for line, name in imports(module):
        if within(name, "grpc", "sqlalchemy", "google.protobuf") or _is_message(name):
            yield f"{module.path}:{line}: a use case imports {name}"


def sqlalchemy_stays_in_the_store(module: Module) -> Iterator[str]:
    """SQLAlchemy is imported in `store/`, `migrations/` and the shared database modules only."""
    if module.service and module.room in ("store", "migrations"):
        return
    if within(module.name, *SQLALCHEMY_HOMES):
        return
    for line, name in imports(module):
        if within(name, "sqlalchemy"):
            yield f"{module.path}:{line}: {name} outside the store"


def messages_stay_at_the_edge(module: Module) -> Iterator[str]:
    """Generated messages are imported where bytes come in and go out only."""
    if within(module.name, *PROTOBUF_HOMES):
        return
    topicless = module.room.partition("_")[0]
    if module.service and (topicless in PROTOBUF_ROOMS or module.room.endswith("_client")):
        return
    for line, name in imports(module):
        if _is_message(name):
            yield f"{module.path}:{line}: {name} away from the edge"


def imports_stand_at_the_top(module: Module) -> Iterator[str]:
    """No import inside a function, except where a terminal waits."""
    if module.is_command_line:
        return
    for function in _functions(module.tree):
        for node in ast.walk(function):
            if isinstance(node, ast.Import | ast.ImportFrom):
                yield f"{module.path}:{node.lineno}: import inside {function.name}()"


def rooms_depend_one_way(module: Module) -> Iterator[str]:
    """timebank <- domain <- store <- usecases <- rpc <- service <- cli, never back."""
    if module.service is None or not module.room:
        return
    own = _step(module.room)
    if own is None:
        yield f"{module.path}:1: the room {module.room!r} has no place in the layers"
        return
    for line, name in imports(module):
        if not within(name, module.service) or name == module.service:
            continue
        other = _step(name.split(".")[1])
        if other is not None and other > own:
            yield f"{module.path}:{line}: {module.room} imports {name}, a layer above it"


def environment_is_read_by_config(module: Module) -> Iterator[str]:
    """os.environ and os.getenv belong to the configuration alone."""
    if within(module.name, *ENVIRONMENT_HOMES):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Attribute) and node.attr in ("environ", "getenv", "environb"):
            yield f"{module.path}:{node.lineno}: os.{node.attr} below the configuration"
    for line, name in imports(module):
        if name in ("os.environ", "os.getenv", "os.environb"):
            yield f"{module.path}:{line}: {name} below the configuration"


def modules_are_short(module: Module) -> Iterator[str]:
    """A module has at most MODULE_LINES_MAX lines."""
    count = len(module.source.splitlines())
    if count > MODULE_LINES_MAX:
        yield f"{module.path}:{count}: {count} lines, at most {MODULE_LINES_MAX}"


def functions_are_short(module: Module) -> Iterator[str]:
    """A function has at most FUNCTION_LINES_MAX lines, docstring included."""
    for function in _functions(module.tree):
        count = (function.end_lineno or function.lineno) - function.lineno + 1
        if count > FUNCTION_LINES_MAX:
            limit = f"{count} lines, at most {FUNCTION_LINES_MAX}"
            yield f"{module.path}:{function.lineno}: {function.name}() has {limit}"


def names_say_what_they_hold(module: Module) -> Iterator[str]:
    """No module is called utils, helpers, common or manager."""
    if vague := VAGUE_NAMES.intersection(module.name.split(".")):
        yield f"{module.path}:1: {sorted(vague)[0]!r} says nothing"


def modules_say_what_they_own(module: Module) -> Iterator[str]:
    """Every module that has code has a docstring."""
    if module.tree.body and not ast.get_docstring(module.tree):
        yield f"{module.path}:1: no docstring"


def suppressions_say_why(module: Module) -> Iterator[str]:
    """Every `type: ignore` and `noqa` names its rule and, after another #, its reason."""
    for number, line in enumerate(module.source.splitlines(), start=1):
        if SUPPRESSION.search(line) and not EXPLAINED.search(line):
            yield f"{module.path}:{number}: expected the rule in brackets and `# reason`"


def tests_neither_wait_nor_skip(module: Module) -> Iterator[str]:
    """A test moves the clock and waits for events: it calls no sleep but sleep(0), and is run."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and _called(node) == "sleep":
            yields = len(node.args) == 1 and ast.unparse(node.args[0]) == "0"
            if not yields:
                yield f"{module.path}:{node.lineno}: a test sleeps"
        elif isinstance(node, ast.Attribute) and node.attr in SKIPS:
            yield f"{module.path}:{node.lineno}: a test that may not run"


IMPORT_RULES: tuple[Rule, ...] = (
    services_are_strangers,
    shared_package_knows_no_service,
    domain_is_pure,
    usecases_know_no_transport,
    sqlalchemy_stays_in_the_store,
    messages_stay_at_the_edge,
    imports_stand_at_the_top,
    rooms_depend_one_way,
    environment_is_read_by_config,
)
SHAPE_RULES: tuple[Rule, ...] = (
    modules_are_short,
    functions_are_short,
    names_say_what_they_hold,
    modules_say_what_they_own,
    suppressions_say_why,
)
TEST_RULES: tuple[Rule, ...] = (tests_neither_wait_nor_skip,)


def _is_message(name: str) -> bool:
    return any(part.endswith(("_pb2", "_pb2_grpc")) for part in name.split("."))


def _called(call: ast.Call) -> str:
    """The last part of what is called: `sleep` of `asyncio.sleep()`."""
    return ast.unparse(call.func).rpartition(".")[2]


def _functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _step(room: str) -> int | None:
    """The step of a room; a topic after an underscore does not move it: `cli_csv`, `audit_rows`."""
    if room.endswith("_client"):
        return CLIENT_STEP
    if room == "imports":
        return STEPS["cli"]
    return STEPS.get(room, STEPS.get(room.partition("_")[0]))
