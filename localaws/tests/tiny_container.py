"""A container of the tests' own, for what the real one does not do on demand.

It speaks the multi-model API of DG/mms-container-apis with nothing but the standard
library. A model's folder holds ``answer`` (what invocations return) and may hold
``load_seconds``, ``invoke_seconds``, ``load_status``, ``memory`` (how many models it counts as) and
``lost`` (so many loads are lost as MMS loses them: 500, and the model stays on the list, dead). The
environment sets ``SAGEMAKER_TINY_CAPACITY`` (models that fit, then 507), ``SAGEMAKER_TINY_PING``
(status of /ping), ``SAGEMAKER_TINY_MODELS`` (status of GET /models), ``SAGEMAKER_TINY_METRICS``
(the path of its page for Prometheus, which it has only then) and ``SAGEMAKER_TINY_EXIT`` (say
something and end at once).
"""

import json
import os
import signal
import socketserver
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

models: dict[str, Path] = {}
history: list[str] = []
loading = {"now": 0, "most": 0}
dead: set[str] = set()
calls: dict[str, int] = {}
lock = threading.Lock()


def number(folder: Path, name: str) -> float:
    file = folder / name
    return float(file.read_text()) if file.exists() else 0.0


def taken(*folders: Path) -> float:
    """How much of the capacity these models take."""
    return sum(number(folder, "memory") or 1 for folder in folders)


def capacity() -> int:
    return int(os.environ.get("SAGEMAKER_TINY_CAPACITY", "1000"))


def metrics() -> str:
    lines = ["# HELP tiny_calls_total Calls.", "# TYPE tiny_calls_total counter"]
    lines += [f'tiny_calls_total{{target_model="{name}"}} {n}' for name, n in calls.items()]
    lines += [
        "# HELP tiny_models Loaded.",
        "# TYPE tiny_models gauge",
        f"tiny_models {len(models)}",
    ]
    return "\n".join(lines) + "\n"


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    request_queue_size = 128


class Handler(socketserver.StreamRequestHandler):
    """HTTP as far as localaws speaks it. http.server takes longer to import than all the rest."""

    def handle(self) -> None:
        while self.request_line():
            self.headers = dict(self.header_lines())
            {"GET": self.do_GET, "POST": self.do_POST, "DELETE": self.do_DELETE}[self.method]()

    def request_line(self) -> bool:
        self.line = self.rfile.readline(65536).decode("latin-1").rstrip()
        self.method, _, rest = self.line.partition(" ")
        self.path = rest.partition(" ")[0]
        return bool(self.line)

    def header_lines(self) -> Iterator[tuple[str, str]]:
        while line := self.rfile.readline(65536).decode("latin-1").strip():
            name, _, value = line.partition(":")
            yield name.lower(), value.strip()

    def reply(self, status: int, body: object, **headers: str) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Tiny\r\nContent-Length: {len(data)}\r\n"
        for name, value in headers.items():
            head += f"{name.replace('_', '-')}: {value}\r\n"
        print(f'tiny "{self.line}" {status} -', flush=True)
        self.wfile.write(f"{head}\r\n".encode() + data)

    def error(self, status: int, message: str) -> None:
        self.reply(status, {"code": status, "type": "Tiny", "message": message})

    def do_GET(self) -> None:
        if self.path == "/ping":
            self.reply(int(os.environ.get("SAGEMAKER_TINY_PING", "200")), {})
        elif self.path.startswith("/history"):
            self.reply(200, history)
        elif self.path == os.environ.get("SAGEMAKER_TINY_METRICS"):
            self.reply(200, metrics().encode(), Content_Type="text/plain; version=0.0.4")
        elif self.path == "/loading":
            self.reply(200, loading)
        else:
            status = int(os.environ.get("SAGEMAKER_TINY_MODELS", "200"))
            self.reply(status, {"models": [{"modelName": name} for name in models]})

    def do_DELETE(self) -> None:
        name = self.path.rsplit("/", 1)[-1]
        with lock:
            folder = models.pop(name, None)
            if name in dead:
                dead.remove(name)
                self.reply(200, {})
                return
            if folder is not None:
                history.append(f"unload {(folder / 'answer').read_text()}")
        if folder is None:
            self.error(404, "not loaded")
        else:
            self.reply(200, {})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        if self.path == "/models":
            self.load(json.loads(body))
        else:
            self.invoke(self.path.split("/")[2], body)

    def load(self, request: dict[str, str]) -> None:
        folder = Path(request["url"])
        with lock:
            loading["now"] += 1
            loading["most"] = max(loading.values())
        time.sleep(number(folder, "load_seconds"))
        status = int(number(folder, "load_status"))
        lost = int(number(folder, "lost"))
        with lock:
            loading["now"] -= 1
            if request["model_name"] in dead:
                self.error(409, "on the list")
            elif lost:
                (folder / "lost").write_text(str(lost - 1))
                dead.add(request["model_name"])
                self.error(500, f"Failed to save model: {folder}")
            elif status:
                self.error(status, "told to fail")
            elif request["model_name"] in models:
                self.error(409, "already loaded")
            elif taken(folder, *models.values()) > capacity():
                self.error(507, "no room")
            else:
                models[request["model_name"]] = folder
                history.append(f"load {(folder / 'answer').read_text()}")
                self.reply(200, {})

    def invoke(self, name: str, body: bytes) -> None:
        folder = models.get(name)
        if folder is None:
            self.error(404, "not loaded")
            return
        time.sleep(number(folder, "invoke_seconds"))
        target = self.headers.get("x-amzn-sagemaker-target-model", "")
        with lock:
            calls[target] = calls.get(target, 0) + 1
        if body == b"die":
            os.kill(os.getpid(), signal.SIGKILL)
        if body == b"forget":
            models.pop(name)
        if body == b"fail":
            self.error(500, "a bad day")
            return
        answer = {
            "answer": (folder / "answer").read_text(),
            "bytes": len(body),
            "accept": self.headers.get("accept"),
            "content_type": self.headers.get("content-type"),
            "target": self.headers.get("x-amzn-sagemaker-target-model"),
            "environment": {
                k: v for k, v in os.environ.items() if k.startswith(("AWS", "SAGEMAKER_TINY"))
            },
        }
        attributes = self.headers.get("x-amzn-sagemaker-custom-attributes", "none")
        self.reply(
            200,
            answer,
            Content_Type="application/json",
            X_Amzn_SageMaker_Custom_Attributes=f"seen={attributes}",
        )


def main() -> None:
    if os.environ.get("SAGEMAKER_TINY_EXIT"):
        print("tiny cannot go on: the cat sat on the keyboard", flush=True)
        sys.exit(3)
    server = Server(os.environ["MME_BIND_SOCKET"], Handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    parent = os.getppid()

    def end_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(0.1)
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
