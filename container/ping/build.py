"""Builds ping.jar from Ping.java; needs a JDK, which serving does not: hence the jar is kept.

    python container/ping/build.py    # with the container's Python

The same source gives the same bytes with the same compiler.
"""

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
JAR = HERE / "ping.jar"
SERVICE = "META-INF/services/software.amazon.ai.mms.servingsdk.ModelServerEndpoint"


def build(jar: Path) -> None:
    """Compile Ping.java against MMS's own jar and write ``jar``."""
    import mms

    server = Path(mms.__file__).resolve().parent / "frontend" / "model-server.jar"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["javac", "--release", "11", "-g:none", "-proc:none", "-cp", str(server),
             "-d", folder, str(HERE / "Ping.java")],
            check=True, timeout=120,
        )  # fmt: skip
        contents = {
            "mme/Ping.class": (Path(folder) / "mme" / "Ping.class").read_bytes(),
            SERVICE: (HERE / SERVICE).read_bytes(),
        }
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if sys.argv[1:] else JAR)
