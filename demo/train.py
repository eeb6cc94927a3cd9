"""Train the demo models, pack them, and make sample pictures of what was held out.

``python -m demo --out DIR`` (or ``demo/train.py --out DIR``) leaves in ``DIR`` the archives,
``samples/`` and, last of all, ``manifest.json``. A run that finds it complete
returns at once. After a killed run the next one keeps the finished versions.
"""

import argparse
import ctypes
import fcntl
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

if not __package__:  # run as `python demo/train.py`
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from demo.files import read_json, sha256, write_json

RECIPE = 2
"""Incremented when models or samples change, which makes them again."""

SEED = 20240
SAMPLE_SIZE = 320
MIN_PROBABILITY = 0.9
"""A sample is a picture for which the newest version gives the right label this probability."""

VERSIONS = {"digits": (1, 2), "shapes": (1,)}
LONGEST_FIRST = (("digits", 2), ("shapes", 1), ("digits", 1))
"""The same, longest training first, so that all processors stay busy."""

DESCRIPTIONS = {
    "digits": (
        "Reads one hand-written digit from a picture: dark on light or light on dark, also off"
        " the centre. Trained on the handwriting of 43 people from scikit-learn's digits data set."
    ),
    "shapes": (
        "Names the shape in a picture: circle, square, triangle, star, heart, cross, moon or"
        " arrow, filled or in outline, in any colour. Trained on drawings made by a program."
    ),
}


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 when ``DIR`` is complete."""
    parser = argparse.ArgumentParser(
        prog="python -m demo", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="where to put it all"
    )
    out = parser.parse_args(argv).out
    out.mkdir(parents=True, exist_ok=True)
    with _exclusive(out):
        if is_complete(out):
            _print(f"Demo models are there already: {out / 'manifest.json'}")
        else:
            build(out)
    return 0


def is_complete(out: Path) -> bool:
    """Whether ``out`` holds a manifest of this recipe and every file it names, undamaged."""
    manifest = read_json(out / "manifest.json")
    if manifest is None or manifest.get("recipe") != RECIPE:
        return False
    for model in manifest["models"]:
        for version in model["versions"]:
            archive = out / version["archive"]
            if not archive.is_file() or sha256(archive) != version["sha256"]:
                return False
        if not all((out / "samples" / name).is_file() for name in model["samples"]):
            return False
    return True


def build(out: Path) -> None:
    """Train what is missing in ``out``, make the samples, write the manifest."""
    started = time.monotonic()
    (out / "manifest.json").unlink(missing_ok=True)
    for leftover in out.glob("**/*.part"):  # of a run that was killed
        shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
    # These networks are too small for a second thread; versions are trained in parallel.
    # OpenMP reads this when MXNet is first imported, here and in the processes below.
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["MXNET_SUBGRAPH_VERBOSE"] = "0"
    _train_missing(out)
    _print("Making sample pictures")
    models = []
    for name, versions in VERSIONS.items():
        made = [version for number in versions if (version := _finished(out, name, number))]
        if len(made) < len(versions):
            raise RuntimeError(f"{out} was changed while the demo models were made; start again.")
        answers = _samples(out, name, made[-1])
        models.append(
            {
                "name": name,
                "description": DESCRIPTIONS[name],
                "versions": made,
                "samples": list(answers),
                "answers": answers,
            }
        )
    write_json(out / "manifest.json", {"recipe": RECIPE, "models": models})
    _print(f"Demo models are ready after {time.monotonic() - started:.0f} s")


def _train_missing(out: Path) -> None:
    """Train the missing versions, with one process for each processor."""
    missing = []
    for name, number in LONGEST_FIRST:
        if _finished(out, name, number) is None:
            missing.append((name, number))
        else:
            _print(f"Keeping {name} version {number} of an earlier run")
    if not missing:
        return
    _print("Loading MXNet")
    with ProcessPoolExecutor(
        min(len(missing), len(os.sched_getaffinity(0))),
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_end_with_parent,
        initargs=(os.getpid(),),
    ) as pool:
        trainings = [pool.submit(_train, out, name, number) for name, number in missing]
        for training in as_completed(trainings):
            training.result()


def _end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` dies (PR_SET_PDEATHSIG)."""
    pr_set_pdeathsig = 1
    if ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def _finished(out: Path, name: str, number: int) -> dict[str, Any] | None:
    """The manifest's entry of a finished version, else None."""
    record = read_json(_record(out, name, number))
    if record is None or record.get("recipe") != RECIPE:
        return None
    version: dict[str, Any] = record["version"]
    archive = out / version["archive"]
    return version if archive.is_file() and sha256(archive) == version["sha256"] else None


def _record(out: Path, name: str, number: int) -> Path:
    return out / "records" / f"{name}_v{number}.json"


def _train(out: Path, name: str, number: int) -> None:
    """Train one version, pack it, and then record that it is there."""
    from demo import archive, recipes

    trained = recipes.MODELS[name][number](
        SEED + number, lambda line: _print(f"Training {name} version {number}: {line}")
    )
    path = out / f"{name}_v{number}.tar.gz"
    with tempfile.TemporaryDirectory(dir=out, prefix=f"{name}-", suffix=".part") as folder:
        archive.save_network(
            Path(folder),
            name=name,
            symbol=archive.with_softmax(trained.net),
            parameters={key: value.data() for key, value in trained.net.collect_params().items()},
            shape=trained.shape,
            labels=trained.labels,
            preprocess=trained.preprocess,
        )
        archive.pack(Path(folder), path)
    version = {
        "archive": path.name,
        "note": trained.note,
        "accuracy": trained.accuracy,
        "sha256": sha256(path),
    }
    write_json(_record(out, name, number), {"recipe": RECIPE, "version": version})
    _print(f"Packed {path.name}, {path.stat().st_size / 1000:.0f} kB")


def _samples(out: Path, name: str, newest: Mapping[str, Any]) -> dict[str, str]:
    """Write the sample pictures of a model; returns file names and labels."""
    from demo import recipes

    folder = out / "samples"
    folder.mkdir(exist_ok=True)
    answers = {}
    network = recipes.Packed(out / newest["archive"])
    for label, picture in recipes.SAMPLES[name](SAMPLE_SIZE, network, MIN_PROBABILITY):
        file = f"{name.removesuffix('s')}-{label}.jpg"
        part = folder / f"{file}.{os.getpid()}.part"
        picture.save(part, "JPEG", quality=90)
        part.replace(folder / file)
        answers[file] = label
    _print(f"Made {len(answers)} sample pictures for {name}")
    return answers


@contextmanager
def _exclusive(out: Path) -> Iterator[None]:
    """Lock ``out`` for this process."""
    with (out / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _print(f"Another process is making the demo models in {out}; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _print(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
