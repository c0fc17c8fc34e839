"""`make run` as a newcomer uses it: one command, watched processes, clean ends, clear refusals."""

import contextlib
import signal
import socket
import stat
import time
import urllib.error
from pathlib import Path

import psutil
import pytest

from tests.support.up import Ports, Up, started


@pytest.fixture
def ports(tmp_path: Path) -> Ports:
    return Ports(tmp_path)


def test_make_run_prints_one_url_serves_and_ends_cleanly(ports: Ports) -> None:
    base = f"http://127.0.0.1:{ports.http}"
    argv = ["make", "run", f"HTTP_PORT={ports.http}", f"WS_PORT={ports.ws}", f"DB={ports.db}",
            f"PUBLIC_BASE={base}", "HOST=127.0.0.1"]  # fmt: skip
    with started(argv) as up:
        assert up.line("E-Goat is ready").endswith(base)
        assert sum("E-Goat is ready" in line for line in up.lines) == 1
        assert ports.call("/config")["public_base"] == base
        assert ports.call("/send", {"room": "r", "peer_id": "ann", "text": "hello"})["seq"] == 1
        assert [item["text"] for item in ports.call("/history?room=r")] == ["hello"]
        assert len(up.child("services.signaling")) == 2
        assert all(up.child(f"services.{name}") for name in ("gateway", "storage", "transport"))
        for name in ("chat.db.secret", "chat.db.key"):
            assert stat.S_IMODE(ports.db.with_name(name).stat().st_mode) == 0o600
        children = up.children()
        up.process.terminate()
        up.wait(10)
        assert not [child for child in children if child.is_running()]


def test_two_nodes_side_by_side_keep_apart(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    other = Ports(tmp_path / "second")
    with started(ports.argv), started(other.argv) as second:
        ports.call("/send", {"room": "r", "peer_id": "ann", "text": "mine"})
        assert other.call("/history?room=r") == []
        assert len(second.child("redis-server")) == 1
        assert ports.call("/transport/status")["peer_id"] != other.call("/transport/status")["peer_id"]


def test_the_history_is_there_after_a_restart(ports: Ports) -> None:
    with started(ports.argv):
        before = ports.call("/send", {"room": "r", "peer_id": "ann", "text": "kept"})
    with started(ports.argv):
        again = ports.call("/send", {"room": "r", "peer_id": "ann", "text": "kept", "id": before["id"]})
        assert again == before
        assert len(ports.call("/history?room=r")) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_everything_and_a_second_one_changes_nothing(
    ports: Ports, number: signal.Signals
) -> None:
    with started(ports.argv) as up:
        children = up.children()
        up.process.send_signal(number)
        time.sleep(0.1)
        if up.process.poll() is None:
            up.process.send_signal(number)
        assert up.wait(10) == 0
        assert not [child for child in children if child.is_running()]
        assert sum("service.stopped" in line for line in up.lines) == 5


@pytest.mark.parametrize(
    "name", ["services.storage", "services.gateway", "services.signaling", "redis-server"]
)
def test_a_process_that_dies_is_restarted_at_once(ports: Ports, name: str) -> None:
    with started(ports.argv) as up:
        victim = up.child(name)[0]
        victim.kill()
        up.line(r"service\.died")
        end = time.monotonic() + 10
        while time.monotonic() < end:
            with contextlib.suppress(OSError, urllib.error.URLError):
                if up.child(name) and ports.call("/readyz")["ready"]:
                    sent = ports.call("/send", {"room": "r", "peer_id": "ann", "text": "again"})
                    assert sent["seq"] >= 1
                    break
            time.sleep(0.05)
        else:
            raise AssertionError("not back in ten seconds")
        assert victim.pid not in [each.pid for each in up.child(name)]


def test_killing_the_supervisor_leaves_nobody(ports: Ports) -> None:
    with started(ports.argv) as up:
        children = up.children()
        up.process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def refused(argv: list[str]) -> list[str]:
    """What a start that must fail printed; checks its exit code."""
    up = Up(argv)
    code = up.wait(30)
    assert code == 2, "\n".join(up.lines)
    return [line for line in up.lines if line.startswith("egoat:") or ": cannot" in line]


def test_a_taken_port_is_one_clear_line(ports: Ports) -> None:
    for port, reuse in ((ports.http, False), (ports.ws, True)):
        with socket.create_server(("", port), reuse_port=reuse):
            (line,) = refused(ports.argv)
            assert str(port) in line and "in use" in line
    assert not ports.db.exists()


def test_a_database_that_cannot_be_written_is_one_clear_line(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    ports.db = tmp_path / "file" / "chat.db"
    (line,) = refused(ports.argv)
    assert str(ports.db) in line


def test_a_file_that_is_no_database_is_refused(ports: Ports) -> None:
    ports.db.write_bytes(b"this is not a database" * 100)
    up = Up(ports.argv)
    assert up.wait(30) == 2
    assert sum("cannot be written" in line for line in up.lines) == 1


def test_a_database_in_use_is_refused_and_names_its_holder(ports: Ports, tmp_path: Path) -> None:
    with started(ports.argv) as first:
        other = Ports(tmp_path)
        second = Up(other.argv)
        assert second.wait(30) == 2
        holder = first.child("services.storage")[0].pid
        assert any(f"held by process {holder}" in line for line in second.lines)
        assert ports.call("/readyz")["ready"]


@pytest.mark.parametrize(
    "flags",
    [["--http-port", "web"], ["--http-port", "0"], ["--ws-port", "65536"], ["--public-base", "example:8080"]],
)
def test_a_wrong_value_is_one_clear_line(ports: Ports, flags: list[str]) -> None:
    (line,) = refused([*ports.argv, *flags])
    assert flags[0] in line and flags[1] in line


@pytest.mark.parametrize("name", ["LOG_LEVEL", "LIMIT_PEERS", "STORAGE_COMMIT_GAP", "NODE_TRUSTED_PROXIES"])
def test_a_wrong_variable_is_one_clear_line(ports: Ports, name: str) -> None:
    (line,) = refused(["env", f"{name}=loud", *ports.argv])
    assert name in line
