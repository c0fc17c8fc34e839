"""A laboratory of network namespaces: two homes behind routers of a kind, and a street between them, the internet.

    a -- router a --+
                    +-- street (the node, its relay, proxies)
    b -- router b --+

Needs root, `ip` and `iptables`. Packets stay in the kernel, so that no offloads have to be switched off. Every
namespace bears the number of its process: what a crash left is removed by the next laboratory, and nothing else is
touched.
"""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

PREFIX = "egnat"
NODE = "203.0.113.10"
_OURS = re.compile(rf"{PREFIX}(\d+)-\w+")


def sh(*argv: str, given: str | None = None) -> str:
    """Runs a command; its output, or an AssertionError with what it said."""
    done = subprocess.run(argv, input=given, text=True, capture_output=True)
    assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr.strip()}\n{given or ''}"
    return done.stdout


class Space:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name
        sh("ip", "netns", "add", name)
        self.ip("link", "set", "lo", "up")

    def ip(self, *argv: str) -> str:
        """`ip` inside."""
        return sh("ip", "-n", self.name, *argv)

    def argv(self, *argv: str) -> list[str]:
        """A command as it runs inside."""
        return ["ip", "netns", "exec", self.name, *argv]

    def run(self, *argv: str, given: str | None = None) -> str:
        """Runs a command inside."""
        return sh(*self.argv(*argv), given=given)

    def pids(self) -> list[int]:
        """Every process inside."""
        return [int(pid) for pid in sh("ip", "netns", "pids", self.name).split()]

    def signal(self, number: int) -> None:
        """Sends a signal to every process inside."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)


def remove(name: str) -> None:
    """Removes a namespace with its processes."""
    for _ in range(20):
        pids = sh("ip", "netns", "pids", name).split()
        if not pids:
            break
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signal.SIGKILL)
        time.sleep(0.05)
    sh("ip", "netns", "del", name)


def sweep() -> None:
    """Removes what laboratories of processes that are gone have left."""
    for line in sh("ip", "netns", "list").splitlines():
        found = _OURS.fullmatch(line.split()[0])
        if found and not os.path.exists(f"/proc/{found[1]}"):
            remove(found[0])


def check() -> None:
    """Raises AssertionError with one clear sentence where there can be no laboratory."""
    why = "" if os.geteuid() == 0 else "this is not root"
    for program in ("ip", "iptables-restore"):
        why = why or ("" if shutil.which(program) else f"there is no {program}")
    if not why:
        name = f"{PREFIX}{os.getpid()}-try"
        tried = subprocess.run(["ip", "netns", "add", name], text=True, capture_output=True)
        why = tried.stderr.strip()
        subprocess.run(["ip", "netns", "del", name], capture_output=True)
    assert not why, (
        f"the NAT laboratory cannot make network namespaces: {why}. Run as root on Linux with iproute2 and "
        "iptables, or leave it out with WITHOUT_NATLAB=1."
    )


@dataclass(frozen=True)
class Rules:
    """What a router does.

    `symmetric`: every destination sees another port; else the port of the host is kept wherever it can be.
    `udp`: whether UDP leaves; `tcp`: TCP ports that do, None: all; `deny`: TCP ports that do not.
    """

    symmetric: bool = False
    udp: bool = True
    tcp: tuple[int, ...] | None = None
    deny: tuple[int, ...] = ()

    def text(self, cut: str = "") -> str:
        """For iptables-restore. `cut`: further lines at the head of FORWARD."""
        lines = ["*nat", f"-A POSTROUTING -o wan -j MASQUERADE{' --random-fully' if self.symmetric else ''}"]
        # A check of the other side that comes first must leave no trace: else the host's own packet, which has the
        # same ports the other way round, would be given another port.
        lines += [
            "COMMIT",
            "*filter",
            "-A INPUT -i wan -m conntrack --ctstate NEW -j DROP",
            *cut.splitlines(),
        ]
        if not self.udp:
            lines += ["-A FORWARD -p udp -j DROP"]
        lines += [f"-A FORWARD -i lan -p tcp --dport {port} -j DROP" for port in self.deny]
        if self.tcp is not None:
            lines += [f"-A FORWARD -i lan -p tcp --dport {port} -j ACCEPT" for port in self.tcp]
            lines += ["-A FORWARD -i lan -p tcp -j DROP"]
        return "\n".join([*lines, "COMMIT", ""])


@dataclass
class Home:
    """One device behind one router."""

    host: Space
    router: Space
    net: str
    rules: Rules = field(default_factory=Rules)

    def set(self, rules: Rules, cut: str = "") -> None:
        """The router follows these rules from now on; flows that are known go on where rules let them."""
        self.rules = rules
        self.router.run("iptables-restore", given=rules.text(cut))

    def cut(self, *lines: str) -> None:
        """Further rules before the others; none: they are lifted."""
        self.set(self.rules, "\n".join(lines))

    def restore(self) -> None:
        """Everything as it was at first."""
        self.host.ip("address", "flush", "dev", "eth0")
        self.host.ip("address", "add", f"{self.net}.2/24", "dev", "eth0")
        self.cable(True)
        self.set(Rules())

    def cable(self, plugged: bool) -> None:
        """Pulls or plugs the device's cable, at the router's end and its own."""
        self.host.ip("link", "set", "eth0", "up" if plugged else "down")
        if plugged:
            self.host.ip("route", "replace", "default", "via", f"{self.net}.1")

    def move(self) -> None:
        """The device gets another address and loses the one it had."""
        self.host.ip("address", "del", f"{self.net}.2/24", "dev", "eth0")
        self.host.ip("address", "add", f"{self.net}.3/24", "dev", "eth0")
        self.host.ip("route", "replace", "default", "via", f"{self.net}.1")


class Lab:
    """The street and two homes."""

    def __init__(self) -> None:
        self.spaces: list[Space] = []

    def build(self) -> None:
        """Makes everything."""
        self.street = self._space("street")
        self.street.ip("link", "add", "br0", "type", "bridge")
        self.street.ip("address", "add", f"{NODE}/24", "dev", "br0")
        self.street.ip("link", "set", "br0", "up")
        # Packets for private addresses end here in silence, as they do in the world.
        self.street.ip("route", "add", "default", "dev", "br0")
        self.a = self._home("a", "10.1.0", "203.0.113.21")
        self.b = self._home("b", "10.2.0", "203.0.113.22")

    def _space(self, name: str) -> Space:
        space = Space(f"{PREFIX}{os.getpid()}-{name}")
        self.spaces.append(space)
        return space

    def _home(self, name: str, net: str, public: str) -> Home:
        router, host = self._space(f"r{name}"), self._space(name)
        port = f"port-{name}"
        self.street.ip("link", "add", port, "type", "veth", "peer", "name", "wan", "netns", router.name)
        self.street.ip("link", "set", port, "master", "br0", "up")
        router.ip("link", "add", "lan", "type", "veth", "peer", "name", "eth0", "netns", host.name)
        for space, link, address in (
            (router, "wan", public),
            (router, "lan", f"{net}.1"),
            (host, "eth0", f"{net}.2"),
        ):
            space.ip("address", "add", f"{address}/24", "dev", link)
            space.ip("link", "set", link, "up")
        router.ip("route", "add", "default", "via", NODE)
        host.ip("route", "add", "default", "via", f"{net}.1")
        router.run("tee", "/proc/sys/net/ipv4/ip_forward", given="1")
        home = Home(host, router, net)
        home.set(Rules())
        return home

    def close(self) -> None:
        """Removes everything with the processes inside."""
        for space in reversed(self.spaces):
            with contextlib.suppress(AssertionError):
                remove(space.name)


@contextlib.contextmanager
def laboratory() -> Iterator[Lab]:
    """A laboratory that is gone at the end of the block, whatever happens in it."""
    check()
    sweep()
    lab = Lab()
    try:
        lab.build()
        yield lab
    finally:
        lab.close()
