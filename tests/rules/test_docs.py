"""What README, CONTRIBUTING, ARCHITECTURE, docs/ and each part's README name is there.

Settings, make targets, commands, files, functions and links. A page added later is held as well.
The changelog is exempt: it tells of what was.
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from django.core.management import get_commands

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    page
    for pattern in ("*.md", "docs/**/*.md", "*/README.md")
    for page in ROOT.glob(pattern)
    if page.name != "CHANGELOG.md"
)
# Where names are looked for: all that is written by hand, but for the pages themselves.
_SOURCES = ("*.py", "*.yml", "*.toml", "*.html", "*.js", "*.in", "*.sh")
_OTHER_SOURCES = ("Makefile", "Procfile", "Dockerfile", "stack/run", "container/Dockerfile")
# Words of others, and examples: no source of ours holds them.
FOREIGN = {
    "ANY_NAME": "an example",
    "API_KEY": "an example of a secret",
    "DNNL_MAX_CPU_ISA": "oneDNN reads it",
    "GITHUB_ENV": "of GitHub Actions",
    "GLIBC_TUNABLES": "glibc reads it",
    "INTER_CUBIC": "of OpenCV",
    "INTER_LINEAR": "of OpenCV",
    "MADV_POPULATE_WRITE": "of Linux (madvise(2))",
    "NO_COLOR": "rich reads it",
    "SAGEMAKER_MAX_PAYLOAD_IN_MB": "sagemaker_inference reads it",
    "STANDARD_IA": "a storage class of S3",
    "WEBHOOK_SECRET": "of the receiver in docs/webhooks.md",
}
_SETTING = re.compile(
    r"env_(?:str|int|bool|list|secret|choice|address|template)\(\s*\"([A-Z_0-9]+)\""
)

by_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


# --- what a page says ------------------------------------------------------------------------


def _code(page: Path) -> list[str]:
    """What the page sets as code: its blocks, and what stands between backticks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```[^\n]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return blocks + [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", rest)]


def _inline(page: Path) -> list[str]:
    text = page.read_text(encoding="utf-8")
    rest = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return [" ".join(one.split()) for one in re.findall(r"`([^`]+)`", rest)]


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes of the page's headings."""
    found: list[str] = []
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for title in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{found.count(slug)}" if slug in found else slug)
    return set(found)


# --- what there is -----------------------------------------------------------------------------


@cache
def _files() -> list[Path]:
    """The project's own files: not those of environments, caches and hidden folders."""
    found = [one for one in ROOT.iterdir() if one.is_file()]
    for folder in ROOT.iterdir():
        if folder.is_dir() and not folder.name.startswith("."):
            found += [one for one in folder.rglob("*") if one.is_file()]
    return [one for one in found if "__pycache__" not in one.parts]


@cache
def _words() -> frozenset[str]:
    """Every name that the sources contain."""
    words: set[str] = set()
    for file in _files():
        relative = str(file.relative_to(ROOT))
        if file != Path(__file__) and (
            relative in _OTHER_SOURCES or any(file.match(one) for one in _SOURCES)
        ):
            words.update(re.findall(r"\w+", file.read_text(encoding="utf-8")))
    return frozenset(words)


@cache
def _targets() -> frozenset[str]:
    return frozenset(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _defined(body: list[ast.stmt]) -> Iterator[tuple[str, list[ast.stmt]]]:
    """The names that a module or a class defines, each with its own body."""
    for node in body:
        match node:
            case ast.FunctionDef() | ast.ClassDef() | ast.AsyncFunctionDef():
                yield node.name, node.body if isinstance(node, ast.ClassDef) else []
            case ast.Assign(targets=targets):
                for target in targets:
                    for one in ast.walk(target):
                        if isinstance(one, ast.Name):
                            yield one.id, []
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name, []
            case ast.ImportFrom(names=names) | ast.Import(names=names):
                yield from ((one.asname or one.name, []) for one in names)
            case ast.If() | ast.Try():
                yield from _defined(node.body)


def _has(path: Path, names: list[str]) -> bool:
    """Whether the module at ``path`` has ``Class.method``, ``function`` or a constant."""
    body = _tree(path).body
    for name in names:
        found = dict(_defined(body))
        if name not in found:
            return False
        body = found[name]
    return True


def _dotted_exists(dotted: str) -> bool:
    """Whether ``package.module.function`` is there; the attributes of an instance are not known."""
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:length])
        for path in (base.with_suffix(".py"), base / "__init__.py"):
            if path.is_file():
                return _has(path, parts[length:])
        if base.is_dir():
            return length == len(parts)
    return False


@cache
def _functions() -> frozenset[str]:
    # Not by their trees: those of the whole repository take seconds.
    line = re.compile(r"^\s*(?:async\s+)?(?:def|class)\s+(\w+)", re.MULTILINE)
    texts = [file.read_text(encoding="utf-8") for file in _files() if file.suffix == ".py"]
    return frozenset(name for text in texts for name in line.findall(text))


def _settings() -> set[str]:
    """Every environment variable that the portal reads as a setting."""
    sources = [one for one in _files() if one.suffix == ".py" and "tests" not in one.parts]
    texts = [path.read_text(encoding="utf-8") for path in sources]
    programs = (ROOT / "Procfile").read_text()
    return {name for text in texts for name in _SETTING.findall(text)} | set(
        re.findall(r"\$\{([A-Z_]+)", programs)
    )


# --- the rules -----------------------------------------------------------------------------------


def test_there_are_pages() -> None:
    names = {str(page.relative_to(ROOT)) for page in PAGES}
    assert {"README.md", "docs/settings.md", "docs/security.md", "container/README.md"} <= names


@pytest.mark.not_quick
def test_each_setting_is_documented_and_each_documented_one_exists() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    documented = {
        name
        for line in page.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([A-Z_0-9]+)`", line.split("|")[1])
        if not name.endswith("_FILE")
    }
    read = _settings()
    assert len(read) > 20
    assert not read - documented, f"Add a row to docs/settings.md: {sorted(read - documented)}"
    gone = sorted(documented - read)
    assert not gone, f"Nothing reads these; take their rows out of docs/settings.md: {gone}"


@by_page
def test_each_variable_that_a_page_names_exists(page: Path) -> None:
    named = {
        name
        for code in _code(page)
        for name in re.findall(r"(?<![\w-])[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+(?![\w-])", code)
    }
    unknown = sorted(
        name
        for name in named - set(FOREIGN)
        if name not in _words() and name.removesuffix("_FILE") not in _words()
    )
    assert not unknown, (
        f"No source knows these names; mend the page, or, where a program of others reads them, "
        f"add them to FOREIGN in tests/rules/test_docs.py: {unknown}"
    )


@by_page
def test_each_make_target_that_a_page_names_exists(page: Path) -> None:
    named = {
        target
        for code in _code(page)
        for line in re.findall(
            r"(?:^|[;&(]) *(?:\w+=\S+ +)*make((?: +[a-z][a-z0-9-]*)+)", code, re.MULTILINE
        )
        for target in line.split()
    }
    gone = sorted(named - _targets())
    assert not gone, f"The Makefile has no such targets; add them, or mend the page: {gone}"


@by_page
def test_each_command_that_a_page_names_exists(page: Path) -> None:
    known = get_commands()
    codes = _code(page)
    commands = {name for code in codes for name in re.findall(r"manage\.py ([a-z]\w*)", code)}
    gone = sorted(commands - set(known))
    modules = {name for code in codes for name in re.findall(r"python -m ([\w.]+)", code)}
    ours = {name for name in modules if (ROOT / name.partition(".")[0]).is_dir()}
    gone += sorted(name for name in ours if not _dotted_exists(name))
    assert not gone, f"There are no such commands; mend the page: {gone}"


@by_page
def test_each_file_that_a_page_names_exists(page: Path) -> None:
    tops = {one.name for one in ROOT.iterdir() if not one.name.startswith(".")}
    made = (ROOT / ".gitignore").read_text().split()
    gone = []
    for code in _inline(page):
        for path, name in re.findall(r"(?<![\w/.:$~-])([\w.-]+(?:/[\w.-]+)*/?)(?:::(\w+))?", code):
            top = path.partition("/")[0]
            if "/" not in path.rstrip("/") or not re.fullmatch(r".*(/|\.\w{2,5})", path):
                continue  # a word, a model's name, a content type
            if top not in tops and not (page.parent / top).exists():
                continue  # not one of ours: a key in S3, a file inside an archive
            if f"{top}/" in made:
                continue  # .local and the like: what is in there depends on what ran
            if re.search(r"(?:^|/)[A-Z]+/", path):
                continue  # APP/models.py stands for each of them
            found = [base / path for base in (ROOT, page.parent) if (base / path).exists()]
            if not found or (name and name not in {n for n, _ in _defined(_tree(found[0]).body)}):
                gone.append(f"{path}::{name}" if name else path)
    assert not gone, f"These are not there; mend the page: {gone}"


@by_page
def test_each_function_that_a_page_names_exists(page: Path) -> None:
    tops = {one.name for one in ROOT.iterdir() if one.is_dir() and list(one.glob("*.py"))}
    gone = [
        dotted
        for code in _inline(page)
        for dotted in re.findall(r"(?<![\w/.:@$-])([a-z_]\w*(?:\.\w+)+)(?=$|[\s(,)])", code)
        if dotted.partition(".")[0] in tops
        and not (ROOT / dotted).exists()
        and not _dotted_exists(dotted)
    ]
    if page.name == "ARCHITECTURE.md":  # here each name in backticks is one of ours
        named = {one for code in _inline(page) for one in re.findall(r"^(\w+)\(.*\)$", code)}
        gone += sorted(named - _functions())
    assert not gone, f"These are not there; mend the page: {gone}"


@by_page
def test_each_link_of_a_page_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    gone = []
    for target in re.findall(r"\]\(<?([^)\s>]+)>?(?: \"[^\"]*\")?\)", text):
        if re.match(r"[a-z]+:", target):
            continue  # another site
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in _anchors(file)):
            gone.append(target)
    assert not gone, f"These links lead nowhere; mend the page: {gone}"


def test_the_map_is_two_screens_long() -> None:
    lines = len((ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8").splitlines())
    assert lines <= 120, (
        f"ARCHITECTURE.md has {lines} lines. It is read first, and whole: move what builds on its "
        "three journeys to docs/development.md, Other journeys."
    )


def test_a_recipe_has_ten_lines_at_most() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    recipes = text.partition("## Recipes\n")[2].partition("\n## ")[0].split("\n### ")[1:]
    assert len(recipes) >= 8
    long = {
        one.splitlines()[0]: lines
        for one in recipes
        if (lines := len([line for line in one.splitlines()[1:] if line.strip()])) > 10
    }
    assert not long, f"Shorten these recipes of CONTRIBUTING.md to ten lines: {long}"
