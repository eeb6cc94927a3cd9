"""Runs a Supervisor over the parts that a JSON file describes: a separate process, because
it handles signals and adopts orphans."""

import json
import sys
from pathlib import Path

from stack import leftovers
from stack.console import Console
from stack.part import Part, log_contains
from stack.reload import Changes
from stack.supervisor import RestartPolicy, Supervisor


def main(folder: Path) -> int:
    plan = json.loads((folder / "plan.json").read_text())
    parts = []
    for part in plan["parts"]:
        says = part.pop("ready_when_log_contains", None)
        part["after"] = tuple(part.get("after", ()))
        if plan.get("reloads") and part.pop("reloads", True):
            program = Path(part["command"][-1]).name
            part["reload_on"] = lambda path, program=program: path.name == program
        parts.append(
            Part(step=f"step {part['name']}", ready=log_contains(says) if says else None, **part)
        )
    if found := leftovers.end(folder / "stack", grace_s=plan.get("leftovers_s", 10)):
        print(f"Ended {found} processes that an earlier run left behind.", flush=True)
    return Supervisor(
        parts,
        stack_dir=folder / "stack",
        console=Console(
            [part.step for part in parts], remind_every_s=plan.get("remind_every_s", 10)
        ),
        policy=RestartPolicy(**plan.get("policy", {})),
        on_ready=lambda: print("Ready: all", flush=True),
        follow=plan.get("follow"),
        changes=Changes(folder, ["."]).take if plan.get("reloads") else None,
    ).run()


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
