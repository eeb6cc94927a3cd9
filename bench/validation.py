"""The time of the validation of an archive, compared with another commit.

``make bench-validation``, or ``.venv/bin/python bench/validation.py [--commit C] [--rounds N]``.
Both validate the same demo network in turns, each by its own preflight with the same Python. What
the first of the two runs takes, which inspects and packs, is told besides. The commit is checked
out into a folder that is removed again. Processor time tells more than time on a machine that
others use.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests import ending  # noqa: E402

PYTHON = ROOT / ".venv-container" / "bin" / "python"
DEMO = ROOT / "bench" / "out" / "demo"
BEFORE_THE_SANDBOX = "d6910c9"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default=BEFORE_THE_SANDBOX, help="what to compare with")
    parser.add_argument("--rounds", type=int, default=20, help="validations of each")
    parser.add_argument("--archive", type=Path, help="another archive than the demo digits")
    arguments = parser.parse_args()
    archive = arguments.archive.resolve() if arguments.archive else digits()
    with tempfile.TemporaryDirectory(prefix="bench-validation-") as folder:
        before = Path(folder, "before")
        git("worktree", "add", "--quiet", "--detach", str(before), arguments.commit)
        try:
            took = measure({"before": before, "now": ROOT}, archive, arguments.rounds)
        finally:
            git("worktree", "remove", "--force", str(before))
    show(took, arguments.commit, archive)


def git(*words: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *words], check=True, timeout=120)


def digits() -> Path:
    """The demo network for digits; trained where it is not there yet."""
    DEMO.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        [PYTHON, "-m", "demo", "--out", str(DEMO)], check=True, cwd=ROOT, timeout=900,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return DEMO / "digits_v1.tar.gz"


Took = dict[str, list[tuple[float, float]]]


def measure(trees: dict[str, Path], archive: Path, rounds: int) -> Took:
    """Seconds by the clock and of processors, of each validation by tree, in turns.

    The first of each is not counted.
    """
    took: Took = {name: [] for name in (*trees, "pack")}
    for number in range(rounds + 1):
        for name in trees if number % 2 else reversed(list(trees)):
            script = trees[name] / "container" / "preflight.py"
            began, used = time.perf_counter(), processor_seconds()
            done = subprocess.run(
                [PYTHON, script, archive], capture_output=True, check=False, timeout=300
            )
            if done.returncode != 0:
                raise SystemExit(f"{name}: {done.stdout.decode()}{done.stderr.decode()}")
            if number:
                took[name].append((time.perf_counter() - began, processor_seconds() - used))
        began, used = time.perf_counter(), processor_seconds()
        pack_once(trees["now"] / "container" / "preflight.py", archive)
        if number:
            took["pack"].append((time.perf_counter() - began, processor_seconds() - used))
    return took


def pack_once(script: Path, archive: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="bench-validation-") as folder:
        command = [PYTHON, script, archive, "--pack", Path(folder, "packed.tar")]
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
        if done.returncode != 0:
            raise SystemExit(f"{done.stdout.decode()}{done.stderr.decode()}")


def processor_seconds() -> float:
    """Of all processes that were waited for so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def show(took: Took, commit: str, archive: Path) -> None:
    """Print medians and interquartile ranges, in milliseconds."""
    print(f"validation of {archive.name}, {len(took['now'])} of each, in turns")
    for what, which in (("time", 0), ("processor time", 1)):
        values = {name: [one[which] for one in ones] for name, ones in took.items()}
        print(f"  {what}")
        for name, title in (("before", commit), ("now", "now"), ("pack", "of it --pack")):
            low, middle, high = (1000 * one for one in statistics.quantiles(values[name], n=4))
            print(f"    {title:12} {middle:7.0f} ms (half of them {low:.0f} to {high:.0f})")
        before, now = (statistics.median(values[name]) for name in ("before", "now"))
        print(f"    difference {1000 * (now - before):+7.0f} ms, ratio {now / before:.2f}")


if __name__ == "__main__":
    ending.run(main)
