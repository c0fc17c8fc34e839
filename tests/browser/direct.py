"""Direct paths as a page shows them, with what the browser itself counted beside it."""

import json
from collections import Counter
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.room import LONG

WATCH = """
(() => {
  const seen = new Map();
  window.__via = () => [...seen.values()].map(({via}) => via);
  window.__seen = () => [...seen.values()];
  window.__sent = [];
  new MutationObserver(() => {
    for (const node of document.querySelectorAll('[data-message]:not([data-mine])')) {
      const {id, via} = node.dataset;
      if (!via) continue;
      const known = seen.get(id);
      if (known) known.via = via;
      else seen.set(id, {via, at: Date.now(), text: node.querySelector('.text').textContent});
    }
  }).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ['data-via']});
  const connections = [];
  const Real = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Real {
    constructor(...parts) { super(...parts); connections.push(this); }
  };
  window.__channel = async () => {
    let received = 0, pairs = [];
    for (const pc of connections) {
      if (pc.connectionState !== 'connected') continue;
      const stats = await pc.getStats();
      for (const each of stats.values()) {
        if (each.type === 'data-channel' && each.label === 'ctl') received += each.messagesReceived;
        if (each.type !== 'transport') continue;
        const pair = stats.get(each.selectedCandidatePairId);
        const [local, remote] = [stats.get(pair?.localCandidateId), stats.get(pair?.remoteCandidateId)];
        if (local) pairs.push([local.candidateType, remote?.candidateType, local.relayProtocol ?? local.protocol]);
      }
    }
    return {received, pairs, open: connections.filter((pc) => pc.connectionState === 'connected').length};
  };
  window.__mute = false;
  const send = RTCDataChannel.prototype.send;
  RTCDataChannel.prototype.send = function (data) { if (!window.__mute) send.call(this, data); };
  window.__say = async (words, pause) => {
    const box = document.querySelector('#composer textarea');
    for (const text of words) {
      box.value = text;
      box.dispatchEvent(new Event('input', {bubbles: true}));
      window.__sent.push({text, at: Date.now()});
      box.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true}));
      await new Promise((done) => setTimeout(done, pause));
    }
  };
})();
"""


def reached(page: Page, rung: str, *, count: int = 1, within: int = LONG) -> None:
    """Waits until so many people are reached by this rung."""
    expect(page.locator(f'[data-peer][data-path="{rung}"]')).to_have_count(count, timeout=within)


def say_many(page: Page, words: list[str], pause_ms: int = 0) -> None:
    """Types and sends them one after the other, as fast as the page takes them."""
    page.evaluate("([words, pause]) => __say(words, pause)", [words, pause_ms])


def first_copies(page: Page) -> Counter[str]:
    """How many messages of others came first by which rung, as the page showed them."""
    return Counter(page.evaluate("__via()"))


def channel(page: Page) -> dict[str, Any]:
    """What the browser counted on its open data channels: frames received, candidate pairs in use."""
    found = page.evaluate("__channel()")
    assert isinstance(found, dict), json.dumps(found)
    return found
