"""Start ``hostile.py`` in the sandbox as the preflight starts itself, and say how it ended.

    python around.py '{"mode": "ways out", …}'

With ``"without": ["bubblewrap"]`` or ``["seccomp"]`` that part is taken for not installed. The
variable ``MME_CONTAINER`` names the folder of sandbox.py where it is not the one above this.
"""

import json
import os
import runpy
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
CONTAINER = os.environ.get("MME_CONTAINER", str(HERE.parent))
runpy.run_path(f"{CONTAINER}/dockerd-entrypoint.py")  # makes the package importable

from container import sandbox  # noqa: E402


def main() -> None:
    about = json.loads(sys.argv[1])
    if "bubblewrap" in about.get("without", []):
        sandbox.bubblewrap = lambda: None
    if "seccomp" in about.get("without", []):
        sandbox._programs = lambda: ("", "")
    descriptor = os.open(about["secret"], os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    folder = Path(tempfile.mkdtemp(prefix="mme-preflight-", dir=about.get("temporary")))
    environment = {"LANG": "C.UTF-8", "HOME": str(folder)}
    published = folder.with_name("published.tar.gz")
    published.write_bytes(b"what will be published")
    published.chmod(0o600)
    about |= {
        "folder": os.path.realpath(folder),
        "published": os.path.realpath(published),
        "container": CONTAINER,
        "descriptor": descriptor,
        "runtime": sandbox.runtime(),
        "environment": [*environment, "PWD", "LC_CTYPE", "LD_ORIGIN_PATH"],
    }
    try:
        outcome = sandbox.run(
            [str(HERE / "hostile.py"), json.dumps(about)],
            folder=folder,
            readable=[published],
            environment=environment,
            limits=sandbox.Limits(
                memory_mb=512, cpu_seconds=about.get("cpu", 60), file_bytes=2 << 20
            ),
            wall_seconds=about.get("wall", 60),
        )
        unchanged = published.read_bytes() == b"what will be published"
        print(json.dumps(vars(outcome) | {"unchanged": unchanged}))
    finally:
        published.unlink()
        sandbox.remove(folder)


main()
