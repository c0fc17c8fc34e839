"""The relay of `egoat up` carries a real Chromium's data channels, under every name the node is opened by."""

import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Profile
from tests.support.up import Ports, started

# Two connections of one page that may use relayed candidates only; the first speaks to the second.
_RELAYED = """
async ([session, transport]) => {
  const asked = { method: "POST", headers: { "Content-Type": "application/json" } };
  const body = JSON.stringify({ room: "relay", session, name: `Gus ${session}` });
  const { turn } = await (await fetch("/join", { ...asked, body })).json();
  const urls = turn.turn.filter((url) => url.endsWith(transport));
  const iceServers = [{ urls, username: turn.username, credential: turn.credential }];
  const [a, b] = [0, 1].map(() => new RTCPeerConnection({ iceServers, iceTransportPolicy: "relay" }));
  const types = [];
  for (const [from, to] of [[a, b], [b, a]]) {
    from.onicecandidate = ({ candidate }) => {
      if (candidate) types.push(candidate.type);
      to.addIceCandidate(candidate);
    };
  }
  const heard = new Promise((resolve, reject) => {
    b.ondatachannel = ({ channel }) => { channel.onmessage = ({ data }) => resolve(data); };
    setTimeout(() => reject(new Error("nothing was relayed within 10 s")), 10_000);
  });
  const channel = a.createDataChannel("hay");
  channel.onopen = () => channel.send("hay");
  await a.setLocalDescription();
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription();
  await a.setRemoteDescription(b.localDescription);
  const text = await heard;
  const stats = [...(await a.getStats()).values()];
  const pair = stats.find((each) => each.type === "candidate-pair" && each.nominated && each.state === "succeeded");
  const local = stats.find((each) => each.id === pair.localCandidateId);
  a.close();
  b.close();
  return { text, types: [...new Set(types)], way: local.relayProtocol, sent: pair.bytesSent, urls: urls.length };
}
"""


def relayed(page: Page, transport: str) -> dict[str, Any]:
    """What came of it."""
    return dict(page.evaluate(_RELAYED, [secrets.token_hex(8), transport]))


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("where", ["localhost", "127.0.0.1", "address"])
def test_a_data_channel_goes_through_the_relay(
    node: Ports, profile: Profile, address: str, where: str, transport: str
) -> None:
    host = address if where == "address" else where
    page = profile(host=host).new_page()
    page.goto(f"http://{host}:{node.http}/")
    found = relayed(page, transport)
    assert found.pop("sent") > 0
    assert found == {"text": "hay", "types": ["relay"], "way": transport, "urls": 1}


def test_a_node_on_loopback_alone_relays_too(profile: Profile, tmp_path: Path) -> None:
    ports = Ports(tmp_path)
    with started([*ports.argv, "--host", "127.0.0.1"]):
        page = profile().new_page()
        page.goto(f"http://localhost:{ports.http}/")
        for transport in ("udp", "tcp"):
            assert relayed(page, transport)["text"] == "hay"
