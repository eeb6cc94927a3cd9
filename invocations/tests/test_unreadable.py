"""What the decoder says has a translation for each of its sentences."""

import ast
import inspect

import pytest
from django.utils import translation

from invocations import decoding, unreadable


def _sentences() -> list[str]:
    """The constant sentences that the decoder raises or returns, from its source."""
    tree = ast.parse(inspect.getsource(decoding))
    raised = [
        node.args[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", "") == "Unreadable"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    ]
    tables = [sentence for _mark, sentence in (*decoding._BY_FIRST_BYTES, *decoding._MARKUP)]
    others = [
        decoding._HEIC,
        decoding._RAW,
        decoding._VIDEO,
        str(decoding._damaged()),
        str(decoding._damaged(": more than a tenth of its data is missing")),
        decoding._known(b'{"instances": []}'),
        decoding._known(bytes(128) + b"DICM"),
        "WebP is not read here: save it as JPEG or PNG.",
        "Pictures of the kind CMYK;I are not read here: save it as RGB, 8 bits a colour.",
    ]
    for width, height, kind in ((90_000, 90_000, "PNG"), (90_000, 1, "PNG"), (9000, 9000, "AVIF")):
        try:
            decoding._check_size(width, height, kind)
        except decoding.Unreadable as error:
            others.append(str(error))
    return sorted({*raised, *tables, *others})


@pytest.mark.parametrize("sentence", _sentences())
def test_each_sentence_of_the_decoder_is_told_in_the_readers_language(sentence: str) -> None:
    assert unreadable.known(sentence), (
        f"Add this sentence of container/decoding.py to invocations/unreadable.py: {sentence}"
    )
    assert unreadable.told(sentence) == sentence
    with translation.override("ko"):
        assert unreadable.told(sentence) != sentence


def test_what_is_not_known_stays_as_it_is() -> None:
    assert unreadable.told("Something new.") == "Something new."
