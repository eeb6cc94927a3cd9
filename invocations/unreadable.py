"""What the decoder says of a file that it does not read, in the reader's language.

``invocations/decoding.py`` is the container's too, where there is no Django: its sentences are
English. Each is found here by its form and told with gettext; an unknown one stays as it is.
"""

import re
from functools import cache

from django.utils.translation import gettext
from django.utils.translation import gettext_noop as _

from core.sentences import PLACE


def _pattern(sentence: str) -> re.Pattern[str]:
    parts = PLACE.split(sentence)
    texts = [re.escape(text) for text in parts[::2]]
    names = [f"(?P<{name}>.+?)" for name in parts[1::2]]
    return re.compile("".join(a + b for a, b in zip(texts, [*names, ""], strict=True)), re.DOTALL)


@cache
def _forms() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Each sentence with its pattern; made when first needed, as gettext needs the settings."""
    sentences = (
        _("The picture takes more memory than there is. Scale it down and send it again."),
        _("The picture takes more memory than there is."),
        _("The picture is damaged or cut short. Save it anew as JPEG or PNG, or copy it again."),
        _(
            "The picture is damaged or cut short: more than a tenth of its data is missing. Save "
            "it anew as JPEG or PNG, or copy it again."
        ),
        _(
            "The picture is %(width)s x %(height)s pixels; at most %(most)s million of a %(kind)s "
            "are decoded. Scale it down and send it again."
        ),
        _(
            "The picture is %(width)s x %(height)s pixels; at most %(most)s million are decoded. "
            "Scale it down and send it again."
        ),
        _(
            "The picture is %(width)s x %(height)s pixels; at most %(most)s a side are decoded. "
            "Cut it into parts or scale it down."
        ),
        _("Pictures of the kind %(kind)s are not read here: save it as RGB, 8 bits a colour."),
        _("The picture's values are not finite numbers: save it anew without them."),
        _("Lossless JPEG is not read here: save the picture as PNG."),
        _("The JPEG has too many scans, which take too long. Save it anew."),
        _("BigTIFF is not read here: save it as TIFF, PNG or JPEG."),
        _("The TIFF's tiles are too large. Save it anew, or as PNG."),
        _(
            "HEIC is not read here: export the picture as JPEG (on an iPhone: Settings, Camera, "
            "Formats, Most Compatible)."
        ),
        _("A camera's raw file is not read here: export it as JPEG."),
        _("A video is not read here: send one of its pictures, as JPEG or PNG."),
        _("SVG is not read here: it is a drawing, not pixels. Export it as PNG."),
        _(
            "HTML is not read here: this is a web page, perhaps an error that was saved in the "
            "picture's place. Fetch the picture again."
        ),
        _("A ZIP file is not read here: unpack it and send one picture."),
        _(
            "Base64 text is not read here: decode it and send the bytes, or send JSON "
            '({"instances": [{"b64": "..."}]}).'
        ),
        _("PDF is not read here: export the page as PNG or JPEG."),
        _("gzip is not read here: unpack it and send the picture."),
        _("A NumPy array is not a picture: send it as application/x-npy."),
        _("This is a pointer of Git LFS, not the picture: git lfs pull."),
        _("XML is not read here: send a picture."),
        _("DICOM is not read here: export the picture as PNG."),
        _("JSON is not a picture: send it as application/json, or send the picture's bytes."),
        _("%(kind)s is not read here: save it as JPEG or PNG."),
        _("%(kind)s is not read here: export it as PNG or JPEG."),
        _("%(kind)s is not read here: unpack it and send one picture."),
        _("%(kind)s is not read here: save the picture as PNG or TIFF."),
    )
    return tuple((_pattern(sentence), sentence) for sentence in sentences)


def known(text: str) -> bool:
    """Whether the sentence of the decoder has a form here."""
    return any(form.fullmatch(text) for form, _sentence in _forms())


def told(text: str) -> str:
    """The decoder's sentence in the reader's language."""
    for form, sentence in _forms():
        if found := form.fullmatch(text):
            return gettext(sentence) % found.groupdict() if found.groupdict() else gettext(sentence)
    return text
