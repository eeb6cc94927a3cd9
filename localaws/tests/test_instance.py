"""What an instance reads of its container's output."""

import os
import threading

from localaws.instance import _MAX_LINE, _lines_at_once


def test_what_a_container_writes_is_read_line_by_line_and_none_is_lost() -> None:
    """Many at once, one in two parts, one without an end that is too long, and an unended last."""
    source, sink = os.pipe()
    read: list[list[bytes]] = []
    with open(source, "rb") as stream:
        reader = threading.Thread(target=lambda: read.extend(_lines_at_once(stream)))
        reader.start()
        with open(sink, "wb", buffering=0) as container:
            container.write(b"".join(b"%d\n" % number for number in range(1000)))
            container.write(b"in two ")
            container.write(b"parts\n\n")
            container.write(b"x" * (_MAX_LINE + 1) + b"\n")
            container.write(b"last")
        reader.join(20)
    lines = [line for each in read for line in each]
    assert lines[:1002] == [*(b"%d\n" % number for number in range(1000)), b"in two parts\n", b"\n"]
    assert b"".join(lines[1002:]) == b"x" * (_MAX_LINE + 1) + b"\nlast"
    assert lines[-1] == b"last"
    assert max(len(line) for line in lines) == _MAX_LINE
    assert len(read) < 20  # not each by itself
