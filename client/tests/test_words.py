"""Every sentence of ``mme`` is there in Korean, and no other."""

import ast
import json
import re
import string
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mme_client
from client.tests.conftest import Ran
from client.tests.fake_portal import FakePortal, Says
from client.tests.test_archives import version
from mme_client.cli import app, terminal, words
from mme_client.cli.korean import MESSAGES

CLI = Path(mme_client.__file__).parent / "cli"


def sentences() -> Iterator[str]:
    """What the modules mark for translation."""
    for path in sorted(CLI.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id == "_"
            ):
                (text,) = node.args
                assert isinstance(text, ast.Constant), f"{path.name}:{node.lineno}"
                yield text.value


@pytest.mark.not_quick
def test_every_sentence_is_there_in_korean_and_no_other() -> None:
    used = set(sentences())
    assert sorted(used - set(MESSAGES)) == [], (
        "write their Korean in client/mme_client/cli/korean.py"
    )
    assert sorted(set(MESSAGES) - used) == [], "nobody says these any more"


def test_the_korean_has_the_same_places() -> None:
    def places(text: str) -> list[str]:
        return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)

    differing = [text for text, korean in MESSAGES.items() if places(text) != places(korean)]
    assert not differing


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", "--state", "checking"), "--state: 다음 중 하나여야 합니다: ready, validating"),
        (("copy", "digits:1", "--to", "x", "--times", "1000"), "--times: 100 이하여야 합니다."),
        (("deploy", "demo", "--count", "0"), "--count: 1 이상이어야 합니다."),
        (("deploy", "demo", "--count", "x"), "--count: 정수여야 합니다."),
        (("experiment", "demo", "--models", "*", "--rate", "x"), "--rate: 숫자여야 합니다."),
        (("push", "/no/such.tar.gz"), "/no/such.tar.gz: 파일이나 폴더가 없습니다."),
        (("push", "/", "--model", "m"), "/: 폴더입니다. 파일을 지정하세요."),
    ],
)
def test_what_the_system_and_the_parser_tell_is_korean_too(
    mme: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(words, "language", lambda: "ko")
    ran = mme(*arguments, url="http://127.0.0.1:9", token="mme_x")
    assert said in ran.err
    assert "Input should" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "url", "token", "said"),
    [
        (("show", "digits:"), "http://h", "x", "버전이 아닙니다: 'digits:'."),
        (("whoami",), "ftp://h", "x", "포털의 주소가 아닙니다: 'ftp://h'."),
        (("whoami",), "http://h/?a=b", "x", "비밀번호, 쿼리, 프래그먼트를 쓸 수 없습니다."),
        (("whoami",), "http://h", "a b", "토큰에 쓸 수 없는 문자가 있습니다."),
    ],
)
def test_what_the_library_says_of_a_value_is_korean_too(
    mme: Callable[..., Ran],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    url: str,
    token: str,
    said: str,
) -> None:
    monkeypatch.setattr(words, "language", lambda: "ko")
    ran = mme(*arguments, url=url, token=token)
    assert ran.code == 2
    assert said in ran.err


@pytest.mark.parametrize(
    ("variables", "korean"),
    [
        ({"LANG": "ko_KR.UTF-8"}, True),
        ({"LC_ALL": "ko_KR.UTF-8", "LANG": "en_US.UTF-8"}, True),
        ({"LANGUAGE": "ko:en", "LANG": "en_US.UTF-8"}, True),
        ({"LC_ALL": "C.UTF-8", "LANG": "ko_KR.UTF-8"}, False),
        ({"LANG": "en_US.UTF-8"}, False),
    ],
)
def test_the_locale_says_which_language(
    mme_process: Callable[..., Ran], variables: dict[str, str], korean: bool
) -> None:
    ran = mme_process("invoke", "--help", **variables)
    assert ran.code == 0, ran.err
    assert ("사용법:" in ran.out, "Usage:" in ran.out) == (korean, not korean)
    assert ("컨테이너의 응답을 그대로 출력합니다." in ran.out) == korean


def test_the_help_names_arguments_as_the_documents_do(mme: Callable[..., Ran]) -> None:
    said = mme("invoke", "--help").out
    assert "mme invoke [OPTIONS] ENDPOINT [MODEL] [PICTURE...]\n" in said
    assert "--top N" in said
    assert not re.search(r"<(str|int|float|list)", said), said


def test_each_command_is_listed_with_its_whole_sentence(
    mme: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a narrow terminal, Click cut it at the end of its line."""
    monkeypatch.setenv("COLUMNS", "60")
    whole = app.command()
    inner = {name: one for name, one in whole.commands.items() if hasattr(one, "commands")}
    assert len(inner) > 5
    for name, group in {"": whole, **inner}.items():
        said = " ".join(mme(*name.split(), "--help").out.split())
        for command, one in group.commands.items():
            sentence = " ".join(one.help.split("\n\n")[0].split()).partition(". ")[0].rstrip(".")
            assert f" {command} {sentence}" in said


def test_a_space_that_does_not_break_is_shown_and_what_a_terminal_obeys_is_not() -> None:
    assert terminal.clean("100\u00a0% a\u3000b\n") == "100\u00a0% a\u3000b\n"
    assert terminal.clean("a\x1b[2J\u2028\u202e") == "a\ufffd[2J\ufffd\ufffd"


@pytest.mark.parametrize("options", [("--json",), ()])
def test_a_locale_that_has_not_all_letters_gets_the_rest(
    mme_process: Callable[..., Ran], fake: FakePortal, options: tuple[str, ...]
) -> None:
    """Such as ko_KR.EUC-KR; a note may have any letters."""
    note = "caf\u00e9 \U0001f600"
    fake.answers = [Says(document=version(note=note))]
    ran = mme_process(
        "show", "digits:3", *options, MME_URL=fake.url, MME_TOKEN="mme_x", PYTHONUTF8="0",
        PYTHONIOENCODING="euc-kr",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    if options:
        assert json.loads(ran.out)["note"] == note
    else:
        assert "caf? ?" in ran.out
        assert "target model" in ran.out, "what comes after it"


def test_no_document_holds_what_a_terminal_obeys(mme: Callable[..., Ran], fake: FakePortal) -> None:
    """A model's labels and a container's log are written by whoever uploaded it."""
    note = "a\x9b2J\x1b[2J\x7f\u202eb \u00e9 \ud55c"
    fake.answers = [Says(document=version(note=note))]
    ran = mme("show", "digits:3", "--json", url=fake.url, token="mme_x")
    assert json.loads(ran.out)["note"] == note
    assert terminal.clean(ran.out) == ran.out
    assert "\u00e9 \ud55c" in ran.out


def test_a_size_is_written_as_the_pages_write_it(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = (0, 1023, 1024, 3 << 20, 5 << 40)
    assert [terminal.size(one) for one in sizes] == [
        "0 bytes", "1023 bytes", "1.0 KB", "3.0 MB", "5120.0 GB",
    ]  # fmt: skip
    monkeypatch.setattr(words, "language", lambda: "ko")
    assert terminal.size(5) == "5바이트"
    assert terminal.size(2048) == "2.0 KB"
