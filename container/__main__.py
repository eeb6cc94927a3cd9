"""The commands of the container, one for each kind of process."""

import os
import sys

USAGE = """\
serve                        run the model server until SIGTERM (README.md has the environment)
preflight ARCHIVE [OPTION …] validate an archive, report in JSON
classes                      make the class archive, with which the JVM starts sooner
model-host FOLDER [OPTION …] internal: the process that forks a worker for each model
worker OPTION …              internal: a worker that imports MXNet by itself
PROGRAM [ARGUMENT …]         anything else is executed, as in ``docker run IMAGE bash``"""


def main() -> int:
    """Run the command in ``sys.argv``; returns its exit code.

    Each command imports its own modules: a worker must not load what only the server needs.
    """
    command, *arguments = sys.argv[1:] or [""]
    if command == "serve" and not arguments:
        from container import entrypoint

        return entrypoint.serve()
    if command == "preflight":
        from container import preflight

        return preflight.main(arguments)
    if command == "classes" and not arguments:
        from container import class_archive

        return class_archive.main()
    if command == "model-host":
        from container import model_host

        return model_host.main(arguments)
    if command == "worker":
        from container import worker

        return worker.main(arguments)
    if command:
        os.execvp(command, [command, *arguments])  # noqa: S606
    print(USAGE)
    return 2


if __name__ == "__main__":
    sys.exit(main())
