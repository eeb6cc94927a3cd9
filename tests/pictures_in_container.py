"""Decodes pictures with the container's code: run with the container's Python, asked over pipes.

A request is a line of JSON (``what``: "rgb" or "decode", ``bytes``: how many follow) and the bytes;
the answer a line of JSON (``error``: the sentence where it is refused, ``fault``: another
exception, ``peak``: how many bytes of memory it took, ``bytes``) and the bytes.
"""

import json
import re
import sys
from pathlib import Path

from container import decoding, images
from container.artifact import Preprocess


def _rgb(data: bytes) -> tuple[dict[str, object], bytes]:
    opened = decoding.open_picture(data)
    picture = opened.upright(decoding.to_rgb(opened.load(opened.size)))
    return {"size": picture.size}, picture.tobytes()


def _decode(data: bytes, asked: dict[str, object]) -> tuple[dict[str, object], bytes]:
    preprocess = Preprocess(**asked.get("preprocess", {}))
    array = images.decode(data, tuple(asked["shape"]), preprocess)
    return {"shape": array.shape}, array.tobytes()


def _peak() -> int:
    """The most memory, in bytes, that was resident since the peak was forgotten."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def main() -> None:
    while line := sys.stdin.buffer.readline():
        asked = json.loads(line)
        data = sys.stdin.buffer.read(asked["bytes"])
        about, out = {}, b""
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        before = _peak()
        try:
            about, out = _rgb(data) if asked["what"] == "rgb" else _decode(data, asked)
        except (decoding.Unreadable, images.BadImage) as error:
            about["error"] = str(error)
        except Exception as error:
            about["fault"] = repr(error)
        about |= {"bytes": len(out), "peak": _peak() - before}
        sys.stdout.buffer.write(json.dumps(about).encode() + b"\n" + out)
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
