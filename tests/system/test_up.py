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
    "name", ["services.storage", "services.gateway", "services.signaling", "redis-server", "turnserver"]
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


def relay_says(ports: Ports, word: str, within: float = 20) -> str:
    """What `/readyz` says of the relay, once it has the word."""
    end = time.monotonic() + within
    while word not in (text := ports.call("/readyz")["details"]["turn"]):
        assert time.monotonic() < end, text
        time.sleep(0.1)
    return str(text)


def test_the_relay_runs_beside_the_services_and_works(ports: Ports, tmp_path: Path) -> None:
    (tmp_path / "second").mkdir()
    other = Ports(tmp_path / "second")
    with started(ports.argv) as first, started(other.argv) as second:
        for up, node in ((first, ports), (second, other)):
            (turnserver,) = up.child("turnserver")
            path = Path(turnserver.cmdline()[-1])
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            secret = node.db.with_name("chat.db.turn")
            assert stat.S_IMODE(secret.stat().st_mode) == 0o600
            assert secret.read_text() in path.read_text()
            assert secret.read_text() not in " ".join(up.lines)
            assert "UDP" in relay_says(node, "works") and "TCP" in relay_says(node, "works")
            assert up.line("turn.works")
        assert set(ports.call("/config")["turn_urls"]).isdisjoint(other.call("/config")["turn_urls"])


def test_a_relay_that_cannot_run_is_told_and_the_node_goes_on(ports: Ports, tmp_path: Path) -> None:
    broken = tmp_path / "bin" / "turnserver"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 2\n")
    broken.chmod(0o755)
    with started(["env", f"PATH={broken.parent}:/usr/bin:/bin", *ports.argv]) as up:
        assert "turn" in up.line(r"service\.died")
        assert ports.call("/send", {"room": "r", "peer_id": "ann", "text": "hello"})["seq"] == 1
        assert "does not answer on UDP" in relay_says(ports, "does not answer")
        assert ports.call("/readyz")["ready"]


def test_without_a_turn_server_one_line_says_what_is_missing(ports: Ports) -> None:
    with started(["env", "PATH=/nowhere", *ports.argv]) as up:
        (line,) = [line for line in up.lines if "turnserver" in line]
        for word in ("webrtc-turn", "webrtc-stun", "in one network connect directly", "apt install coturn"):
            assert word in line
        assert ports.call("/config")["turn_urls"] == []
        joined = ports.call("/join", {"room": "r", "session": "0" * 16, "name": "ann"})
        assert joined["turn"] is None
        assert ports.call("/readyz")["parts"].keys() == {"storage", "redis"}


def test_servers_of_ones_own_are_used_instead(ports: Ports) -> None:
    own = ["env", "TURN_URLS=turn:relay.example:3478?transport=tcp", "TURN_SECRET=s"]
    with started([*own, *ports.argv]) as up:
        assert up.child("turnserver") == []
        assert ports.call("/config")["turn_urls"] == ["turn:relay.example:3478?transport=tcp"]


def stun(ports: Ports) -> list[int]:
    """The ports of the STUN servers that a page is told of; each must answer."""
    joined = ports.call("/join", {"room": "r", "session": "0" * 16, "name": "ann"})
    found = [int(url.rpartition(":")[2]) for url in joined["turn"]["stun"]]
    for port in found:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
            asking.settimeout(5)
            asking.sendto(bytes.fromhex("000100002112a442") + bytes(12), ("127.0.0.1", port))
            assert asking.recv(99)[:2] == b"\x01\x01"
    return found


def test_stun_answers_on_the_next_port_too_where_that_is_free(ports: Ports) -> None:
    with started(ports.argv):
        first, second = stun(ports)
        assert second == first + 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", first + 1))
        with started([*ports.argv, "--turn-port", str(first)]):
            assert stun(ports) == [first]


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM])
def test_a_taken_relay_port_is_one_clear_line(ports: Ports, kind: int) -> None:
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        port = str(taken.getsockname()[1])
        (line,) = refused([*ports.argv, "--turn-port", port])
        assert port in line and "in use" in line


def test_the_relay_keeps_off_the_nodes_own_ports(ports: Ports) -> None:
    (line,) = refused([*ports.argv, "--turn-port", str(ports.http)])
    assert str(ports.http) in line and "in use" in line


def test_no_relay_is_run_where_none_is_wanted(ports: Ports) -> None:
    with started([*ports.argv, "--turn-port", "0"]) as up:
        assert up.child("turnserver") == []
        assert ports.call("/config")["turn_urls"] == []


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
    [
        ["--http-port", "web"],
        ["--http-port", "0"],
        ["--ws-port", "65536"],
        ["--public-base", "example:8080"],
        ["--turn-port", "65536"],
        ["--turn-relay-ports", "50000"],
        ["--turn-external-ip", "999.0.0.1"],
    ],
)
def test_a_wrong_value_is_one_clear_line(ports: Ports, flags: list[str]) -> None:
    (line,) = refused([*ports.argv, *flags])
    assert flags[0] in line and flags[1] in line


@pytest.mark.parametrize(
    "name", ["LOG_LEVEL", "LIMIT_PEERS", "STORAGE_COMMIT_GAP", "NODE_TRUSTED_PROXIES", "TURN_TTL_S"]
)
def test_a_wrong_variable_is_one_clear_line(ports: Ports, name: str) -> None:
    (line,) = refused(["env", f"{name}=loud", *ports.argv])
    assert name in line
