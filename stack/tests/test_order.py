"""Parts start when those before them are ready; Ready comes last."""

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
