"""The floors of docs/architecture.md, kept by reading the source: what may import what, and how large a room gets.

Imports below ``if TYPE_CHECKING`` are names for annotations, not dependencies, and don't count.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "client"

MAX_LINES_OF_A_FILE = 500
MAX_LINES_OF_A_FUNCTION = 60  # signature and docstring not counted

#: Pure: no I/O, and time and randomness come in as arguments, so that they are tested without a server or a clock.
POLICIES = {
    "client.auth",
    "client.cookie_store",
    "client.cookies",
    "client.digest",
    "client.download_names",
    "client.download_plan",
    "client.proxies",
    "client.redirects",
    "client.retries",
    "client.set_cookie",
}

#: What the transport floor may know of the package. It runs one transaction and reads no meaning into the status:
#: redirects, retries, credentials, cookies and content coding are above it.
BELOW_OR_BESIDE_TRANSPORT = {
    "client.protocol",
    "client.transport",
    "client.exceptions",
    "client.headers",
    "client.hostname",
    "client.logs",
    "client.response_limits",
    "client.timeouts",
    "client.url",
}

#: A function-level import -> why it is not at the top of its file. Everything else is at the top.
EXTRA = "an extra: asked for where it is needed, so that its absence matters only there"
HTTPS = "only https needs TLS; loading OpenSSL takes longer than all the rest"
SELDOM = "most programs never use what needs it, and all would pay for it"
LAZY_IMPORTS = {
    "backports": EXTRA,
    "brotli": EXTRA,
    "certifi": HTTPS,
    "client.adapters": SELDOM,
    "client.auth": SELDOM,
    "client.cli": "Ctrl-C is quiet while it is loaded",
    "client.cookie_file": SELDOM,
    "client.cookies": SELDOM,
    "client.download_errands": SELDOM,
    "client.download_receipts": SELDOM,
    "client.downloads": SELDOM,
    "client.executors": SELDOM,
    "client.multipart": SELDOM,
    "client.netrc": SELDOM,
    "client.parallel": SELDOM,
    "client.proxies": SELDOM,
    "client.testing": "pytest loads the plugin in every run, also of those who don't use the fixture",
    "client.transport.handshake": HTTPS,
    "client.transport.huge_pages": SELDOM,
    "client.transport.tunnel": SELDOM,
    "client.urllib_cookies": SELDOM,
    "client.workers": SELDOM,
    "compression": "part of Python since 3.14",
    "ctypes": SELDOM,
    "encodings": SELDOM,
    "fcntl": SELDOM,
    "hashlib": SELDOM,
    "idna": EXTRA,
    "importlib": "what `client.__getattr__` does on first use of a name",
    "ipaddress": SELDOM,
    "json": SELDOM,
    "mmap": SELDOM,
    "publicsuffixlist": EXTRA,
    "rich.console": EXTRA,
    "rich.progress": EXTRA,
    "socksio": EXTRA,
    "ssl": HTTPS,
    "stringprep": SELDOM,
    "threading": SELDOM,
    "truststore": EXTRA,
    "unicodedata": SELDOM,
    "warnings": SELDOM,
    "zlib": SELDOM,
}

#: Names that say nothing about what lives behind them.
DRAWERS = {"utils", "helpers", "common", "base", "misc"}


Definition = ast.FunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Import:
    """One imported module, absolute; ``lazy`` if inside a function."""

    target: str
    line: int
    lazy: bool


@dataclass(frozen=True, slots=True)
class Module:
    """One file of the package."""

    name: str
    path: Path
    tree: ast.Module
    lines: int

    def is_in(self, *rooms: str) -> bool:
        return is_in(self.name, *rooms)


def is_in(name: str, *rooms: str) -> bool:
    """Tell whether *name* is one of *rooms* or inside one of them."""
    return any(name == room or name.startswith(room + ".") for room in rooms)


@cache
def modules() -> dict[str, Module]:
    """Read the package: dotted name -> module."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        found[name] = Module(name, path, ast.parse(text), text.count("\n"))
    return found


@cache
def imports_of(name: str) -> tuple[Import, ...]:
    """Return what module *name* imports at run time."""
    return tuple(_imports(modules()[name], modules()[name].tree, lazy=False))


def _imports(module: Module, node: ast.AST, *, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
            continue
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(alias.name, child.lineno, lazy)
        elif isinstance(child, ast.ImportFrom):
            origin = absolute_name(module, child)
            for alias in child.names:
                submodule = f"{origin}.{alias.name}"
                yield Import(submodule if submodule in modules() else origin, child.lineno, lazy)
        else:
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from _imports(module, child, lazy=inside)


def absolute_name(module: Module, statement: ast.ImportFrom) -> str:
    """Return what follows ``from``; the engine imports its siblings relatively, as it stands alone."""
    if statement.level == 0:
        assert statement.module is not None
        return statement.module
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for _ in range(statement.level - 1):
        package = package.rpartition(".")[0]
    return package if statement.module is None else f"{package}.{statement.module}"


def breaches(room: str, forbidden: set[str], *, except_in: tuple[str, ...] = ()) -> list[str]:
    """List the imports in *room* (a module or package) of anything in *forbidden*."""
    return [
        f"{module.path.relative_to(ROOT)}:{found.line} imports {found.target}"
        for module in modules().values()
        if module.is_in(room) and not module.is_in(*except_in)
        for found in imports_of(module.name)
        if is_in(found.target, *forbidden)
    ]


def test_the_package_is_read() -> None:
    """Every other test here would pass on an empty list."""
    assert {"client", "client.protocol", "client.transport"} <= set(modules())
    assert any(imports_of(name) for name in modules())


def test_the_engine_knows_nothing_but_the_standard_library() -> None:
    outside = [
        f"{module.path.relative_to(ROOT)}:{found.line} imports {found.target}"
        for module in modules().values()
        if module.is_in("client.protocol")
        for found in imports_of(module.name)
        if not is_in(found.target, "client.protocol", *sys.stdlib_module_names)
    ]

    assert [] == outside


def test_the_engine_has_no_io_no_clock_and_no_thread() -> None:
    io = {"asyncio", "io", "os", "select", "selectors", "socket", "ssl", "threading", "time", "random"}

    assert [] == breaches("client.protocol", io)


def test_transport_runs_one_transaction_and_knows_no_policy() -> None:
    above = {name for name in modules() if not is_in(name, *BELOW_OR_BESIDE_TRANSPORT) and name != "client"}

    assert [] == breaches("client.transport", above)


def test_only_transport_and_testing_touch_sockets() -> None:
    assert [] == breaches("client", {"socket", "ssl"}, except_in=("client.transport", "client.testing"))


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_a_policy_does_no_io(policy: str) -> None:
    """`client.transport.wire` may be known: the classes of the seam, which do nothing."""
    others = {
        name for name in modules() if is_in(name, "client.transport", "client.session", "client.exchange")
    }
    io = {"socket", "ssl", "select", "selectors", "subprocess", "time", "random"}
    if policy == "client.set_cookie":
        io -= {
            "time"
        }  # only for a caller who asks `Cookie.is_expired` without saying when, as he may http.cookiejar's

    assert [] == breaches(policy, io | others - {"client.transport", "client.transport.wire"})


def test_nothing_uses_the_standard_librarys_own_http() -> None:
    """Its header and cookie parsers are lenient where this library must be strict; and they are slow to import."""
    assert [] == breaches(
        "client", {"http.client", "http.cookiejar", "http.cookies", "email", "urllib.request"}
    )


def test_only_three_rooms_start_threads() -> None:
    starters = {"Thread", "Timer", "ThreadPoolExecutor", "start_new_thread"}
    found = [
        f"{module.path.relative_to(ROOT)}:{call.lineno}"
        for module in modules().values()
        if not module.is_in("client.workers", "client.transport.resolver", "client.testing")
        for call in ast.walk(module.tree)
        if isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] in starters
    ]

    assert [] == found


def test_no_import_circles() -> None:
    """Lazy imports count: a circle is a mistake of the floors, however late it is walked."""
    graph = {
        name: {
            found.target for found in imports_of(name) if found.target in modules() and found.target != name
        }
        for name in modules()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"import circle: {' <- '.join(error.args[1])}")


def test_every_function_level_import_has_its_reason() -> None:
    lazy = {found.target for name in modules() for found in imports_of(name) if found.lazy}

    assert [] == sorted(lazy - set(LAZY_IMPORTS)), "no reason is given in LAZY_IMPORTS"
    assert [] == sorted(set(LAZY_IMPORTS) - lazy), "gone, but still in LAZY_IMPORTS"


def test_every_module_says_what_lives_in_it() -> None:
    assert [] == [name for name, module in modules().items() if not ast.get_docstring(module.tree)]


def test_every_module_says_what_is_public() -> None:
    """Two that are run rather than imported have nothing public: an empty package, and ``python -m client``."""
    silent = {"client.__main__", "client.transport"}

    assert [] == [
        name for name, module in modules().items() if name not in silent and public_names(module) is None
    ]


def public_names(module: Module) -> set[str] | None:
    """Return the strings of ``__all__``; None if there is none."""
    for node in module.tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name("__all__")], value=value)
                | ast.AnnAssign(target=ast.Name("__all__"), value=ast.expr() as value)
            ):
                constants = [child.value for child in ast.walk(value) if isinstance(child, ast.Constant)]
                return {constant for constant in constants if isinstance(constant, str)}
    return None


def test_every_public_name_has_a_docstring() -> None:
    missing = [
        f"{module.name}.{name}"
        for module in modules().values()
        for node in module.tree.body
        if isinstance(node, Definition) and node.name in (public_names(module) or ())
        for name, definition in [(node.name, node), *public_members(node)]
        if not ast.get_docstring(definition)
    ]

    assert [] == missing


def public_members(node: Definition) -> Iterator[tuple[str, Definition]]:
    """Yield the methods and inner classes whose names don't start with an underscore.

    Overloads and setters are left out: their text is at the implementation and the getter. So are members of a Protocol
    that are nothing but a signature: the class's docstring lists them.
    """
    for child in node.body if isinstance(node, ast.ClassDef) else []:
        if not isinstance(child, Definition) or child.name.startswith("_"):
            continue
        decorators = {ast.unparse(decorator).rpartition(".")[2] for decorator in child.decorator_list}
        if not decorators & {"overload", "setter", "deleter"} and [
            ast.unparse(line) for line in child.body
        ] != ["..."]:
            yield f"{node.name}.{child.name}", child


def test_no_file_is_crowded() -> None:
    files = [path for folder in ("client", "tests", "examples") for path in (ROOT / folder).rglob("*.py")]
    lines = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8").count("\n") for path in files}

    assert {} == {path: count for path, count in lines.items() if count > MAX_LINES_OF_A_FILE}


def test_no_function_is_too_long_to_read_at_once() -> None:
    long = {
        f"{module.name}.{node.name}": length
        for module in modules().values()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.FunctionDef) and (length := body_lines(node)) > MAX_LINES_OF_A_FUNCTION
    }

    assert {} == long


def body_lines(function: ast.FunctionDef) -> int:
    """Count the lines of the body without the docstring; a signature of documented arguments is read one by one."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_no_drawer_for_what_has_no_home() -> None:
    """A module that requests documents under such a name may exist, as an alias of names that live elsewhere."""
    drawers = [module for module in modules().values() if module.name.rpartition(".")[2] in DRAWERS]
    not_aliases = [
        module.name
        for module in drawers
        if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in module.tree.body)
    ]

    assert [] == not_aliases
