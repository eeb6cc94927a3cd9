"""The secrets that docker-compose.yml's first service makes, and that none stands in the file."""

import os
import re
from pathlib import Path

import pytest

from stack import compose
from stack.layout import ROOT

NAMES = ("portal", "localaws", "redis", "postgres", "s3")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of secrets for each; files of root's are given away to their owner there."""
    owners: dict[str, tuple[int, int]] = {}
    monkeypatch.setattr(
        os, "chown", lambda path, uid, gid: owners.update({Path(path).name: (uid, gid)})
    )
    monkeypatch.delenv("ADMIN_PASSWORD", raising=False)
    for name in NAMES:
        (tmp_path / name).mkdir()
    compose.make_secrets(tmp_path)
    assert owners["secret-key"] == (1000, 1000)
    assert owners["users.acl"] == (999, 999)
    return tmp_path


def _contents(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): path.read_text()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_each_gets_the_secrets_that_it_needs_and_no_other(made: Path) -> None:
    found = _contents(made)
    secret_key, admin = found["portal/secret-key"].strip(), found["portal/admin-password"].strip()
    database, redis = found["postgres/password"], found["redis/password"]
    aws = found["portal/aws-keys"].split()[1]
    holders = {
        value: {name.partition("/")[0] for name, content in found.items() if value in content}
        for value in (secret_key, admin, database, redis, aws)
    }
    assert holders[secret_key] == holders[admin] == {"portal"}
    assert holders[database] == {"portal", "postgres"}
    assert holders[redis] == {"portal", "redis"}
    assert holders[aws] == {"portal", "localaws", "s3"}
    assert found["portal/database-password"].strip() == database


def test_they_are_for_their_owner_alone_and_stay_the_same(made: Path) -> None:
    before = _contents(made)
    for path in made.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)  # as an earlier version might have

    compose.make_secrets(made)

    assert _contents(made) == before
    for path in made.rglob("*"):
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path


def test_two_set_ups_share_no_secret(made: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    other = tmp_path_factory.mktemp("other")
    for name in NAMES:
        (other / name).mkdir()
    compose.make_secrets(other)
    mine, theirs = _contents(made), _contents(other)
    same = {name for name in mine if mine[name] == theirs[name]}
    assert same == {"redis/redis.conf"}, "it names the file with the hash of the password"
    assert 'aclfile "/secrets/users.acl"' in mine["redis/redis.conf"]


def test_no_secret_stands_in_the_compose_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    assert "known-in-this-network-alone" not in text
    assert "local-secret-key" not in text
    given = re.findall(r"^ *(\w*(?:SECRET_KEY|PASSWORD|ACCESS_KEY)\w*): *(.*)$", text, re.MULTILINE)
    for name, value in given:
        assert name.endswith("_FILE") or value in (
            "${ADMIN_PASSWORD:-}",
            "${POSTGRES_PASSWORD:-}",
        ), (name, value)


def test_published_ports_are_on_loopback() -> None:
    text = (ROOT / "docker-compose.yml").read_text()
    ports = re.findall(r"^ *- (\S*\$\{\w*PORT\S*)$", text, re.MULTILINE)
    assert len(ports) == 3
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_objects_of_an_earlier_version_become_those_of_the_user_of_s3(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, int]] = []
    monkeypatch.setattr(
        os, "chown", lambda path, uid, gid, **more: given.append((Path(path).name, uid))
    )
    owner = compose._OWNERS["s3"]
    assert owner == 1000
    monkeypatch.setitem(compose._OWNERS, "s3", tmp_path.stat().st_uid + 1)
    (tmp_path / "bucket" / "models").mkdir(parents=True)
    (tmp_path / "bucket" / "models" / "m.tar.gz").write_bytes(b"x")
    outside = tmp_path / "bucket" / "link"
    outside.symlink_to("/etc")
    compose.change_owner_of_objects(tmp_path)
    names = [name for name, _ in given]
    assert sorted(names[:-1]) == ["bucket", "link", "m.tar.gz", "models"]
    assert names[-1] == tmp_path.name, "the last, so that a start that was ended is made good"
    monkeypatch.setitem(compose._OWNERS, "s3", tmp_path.stat().st_uid)
    given.clear()
    compose.change_owner_of_objects(tmp_path)
    assert given == []
