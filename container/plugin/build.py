"""Builds plugin.jar from the Java sources here; needs a JDK, which serving does not: hence the jar
is kept.

    python container/plugin/build.py    # with the container's Python

The same sources give the same bytes with the same compiler. The jar holds their digest, so that a
test sees where it was left behind.
"""

import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
JAR = HERE / "plugin.jar"
DIGEST = "sources.sha256"
SERVICE = "META-INF/services/software.amazon.ai.mms.servingsdk.ModelServerEndpoint"


def digest() -> str:
    """SHA-256 over the sources and the list of the plug-in's classes."""
    found = hashlib.sha256()
    for path in [*sorted(HERE.glob("*.java")), HERE / SERVICE]:
        found.update(path.read_bytes())
    return found.hexdigest()


def build(jar: Path) -> None:
    """Compile the sources against MMS's own jar and write ``jar``."""
    import mms

    server = Path(mms.__file__).resolve().parent / "frontend" / "model-server.jar"
    sources = sorted(str(path) for path in HERE.glob("*.java"))
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["javac", "--release", "11", "-g:none", "-proc:none", "-cp", str(server),
             "-d", folder, *sources],
            check=True, timeout=120,
        )  # fmt: skip
        classes = sorted(Path(folder).rglob("*.class"))
        contents = {str(path.relative_to(folder)): path.read_bytes() for path in classes}
    contents[SERVICE] = (HERE / SERVICE).read_bytes()
    contents[DIGEST] = digest().encode()
    with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in contents.items():
            archive.writestr(zipfile.ZipInfo(name), data)


if __name__ == "__main__":
    build(Path(sys.argv[1]) if sys.argv[1:] else JAR)
