"""What an instance knows of its models where its container does not do as it is told."""

import threading
from pathlib import Path
from typing import Any

import pytest

from localaws.cache import ModelCache
from localaws.container_client import ContainerClient, ContainerResponse, ContainerTimeout
from localaws.fetch import Fetched, ReserveDisk


class Stubborn(ContainerClient):
    """Does not unload: the answer does not come in time."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1")
        self.asked, self.over = threading.Event(), threading.Event()

    def load(self, name: str, folder: str, timeout: float) -> ContainerResponse:
        return ContainerResponse(200, b"")

    def unload(self, name: str, timeout: float = 60.0) -> ContainerResponse:
        self.asked.set()
        assert self.over.wait(20)
        raise ContainerTimeout(name)


@pytest.fixture
def fetched(tmp_path: Path) -> Any:
    """The folders that were fetched, as localaws fetches: into a new folder each time."""
    folders = []

    def fetch(target: str, folder: Path, claim: ReserveDisk) -> Fetched:
        claim(1)
        folder.mkdir()
        (folder / "synset.txt").write_text("cat\n")
        folders.append(folder)
        return Fetched(0, 0)

    return folders, fetch


def test_a_model_that_could_not_be_unloaded_is_still_there(tmp_path: Path, fetched: Any) -> None:
    """Who asked for it meanwhile gets it; it is not brought to disk once more."""
    folders, fetch = fetched
    container = Stubborn()
    cache = ModelCache(
        container=container, folder=tmp_path, fetch=fetch, disk_bytes=100, load_timeout=20,
        label="test",
    )  # fmt: skip
    with cache.acquire("a.tar.gz").ready(20):
        pass
    evict = threading.Thread(target=cache._evict)
    evict.start()
    assert container.asked.wait(20)

    ticket = cache.acquire("a.tar.gz")
    assert ticket.cold, "it is being unloaded"
    container.over.set()
    evict.join(20)
    with ticket.ready(20):
        assert cache.is_loaded("a.tar.gz")
    assert len(folders) == 1
    cache.close()
