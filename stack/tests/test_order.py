"""Parts start when those before them are ready; Ready comes last."""

import io
from pathlib import Path

from stack import parts
from stack.console import Console
from stack.layout import Layout
from stack.tests.conftest import Driven


def test_each_part_waits_for_those_it_comes_after(driven: Driven) -> None:
    out = driven.folder / "order"
    write = f"open({str(out)!r}, 'a').write"
    driven.service("third", f"{write}('third ')", after=["second"])
    driven.add("second", f"import time; time.sleep(0.3); {write}('second ')", once=True,
               after=["first"])  # fmt: skip
    driven.service("first", f"time.sleep(0.3); {write}('first ')")

    driven.start()
    driven.wait_ready()

    assert out.read_text().split() == ["first", "second", "third"]


def test_parts_that_need_not_wait_for_each_other_start_together(driven: Driven) -> None:
    # Each is ready only once the other runs: one after the other would never be.
    for name, other in (("left", "right"), ("right", "left")):
        here, there = driven.folder / f"{name}-runs", driven.folder / f"{other}-runs"
        driven.service(
            name,
            f"open({str(here)!r}, 'w').close()\n"
            f"while not os.path.exists({str(there)!r}): time.sleep(0.02)",
        )

    driven.start()
    driven.wait_ready()


def test_the_lines_of_steps_at_the_same_time_are_in_the_order_of_their_numbers() -> None:
    out = io.StringIO()
    console = Console(["install", "start", "train", "upload"], out)
    console.begin("train")  # it waits for nothing
    console.begin("install")
    console.done("train")
    console.remind("train", "a line of a step that was not told yet")
    console.done("install")
    console.begin("start")
    console.done("start")
    console.begin("upload")
    console.done("upload")

    lines = [line.split(": done")[0] for line in out.getvalue().splitlines()]
    assert lines == [
        *("[1/4] install …", "[1/4] install"),
        *("[2/4] start …", "[2/4] start"),
        *("[3/4] train …", "[3/4] train"),
        *("[4/4] upload …", "[4/4] upload"),
    ]


def test_only_parts_that_tell_their_progress_are_quoted(driven: Driven) -> None:
    """The last line of pip's log may be a warning about the code of a package."""
    driven.plan["remind_every_s"] = 0.05
    for name, line, seen, tells in (
        ("install", "assert gpus is not", "step install … 0 s", False),
        ("train", "epoch 3", "epoch 3", True),
    ):
        driven.add(
            name,
            f"import time\nprint({line!r}, flush=True)\n"
            f"while {seen!r} not in open({str(driven.output)!r}).read(): time.sleep(0.02)",
            once=True,
            tells_progress=tells,
        )

    driven.start()
    driven.wait_ready()

    assert "assert gpus" not in driven.says()


def test_progress_is_told_in_numbered_steps(driven: Driven) -> None:
    driven.add("prepare", "pass", once=True)
    driven.service("serve", after=["prepare"])

    driven.start()
    driven.wait_ready()

    lines = driven.says().splitlines()
    assert lines[0] == "[1/2] step prepare …"
    assert lines[1].startswith("[1/2] step prepare: done in ")
    assert lines[2] == "[2/2] step serve …"
    assert lines[3].startswith("[2/2] step serve: done in ")
    assert lines[4] == "Ready: all"


def test_each_part_is_started_after_the_servers_whose_address_it_is_given(tmp_path: Path) -> None:
    """The worker told of a failure of AWS, as localaws was not there yet on a busy machine."""
    layout = Layout(tmp_path / "local")
    layout.make_folders()
    servers = {"s3": layout.s3_url, "localaws": layout.localaws_url, "redis": layout.redis_url}
    missing, told = [], set()
    for part in parts.parts(layout):
        given = [*part.command, *part.environment.values()]
        for server, address in servers.items():
            # What prepares the database has the settings of beat, and uses no queue.
            if part.name in (server, "migrate") or not any(address in text for text in given):
                continue
            told.add((part.name, server))
            if server not in part.after:
                missing.append(f"{part.name} does not wait for {server}")
    assert told >= {("worker", "localaws"), ("web", "localaws"), ("localaws", "s3")}
    assert not missing
