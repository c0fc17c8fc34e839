// A world with a clock that is moved by hand, rungs that do what the test says, and a node that is a function.

/** Lets promise chains run dry. */
async function turn() {
  for (let count = 0; count < 6; count += 1) await new Promise((resolve) => setImmediate(resolve));
}

/** How many signatures, checks and hashes are being made; they run on other threads in real time. */
let underWay = 0;
const { subtle } = globalThis.crypto;
for (const name of /** @type {const} */ (["sign", "verify", "digest", "importKey", "exportKey", "generateKey"])) {
  const real = /** @type {any} */ (subtle[name]).bind(subtle);
  Object.defineProperty(subtle, name, {
    configurable: true,
    value: (/** @type {any[]} */ ...asked) => {
      underWay += 1;
      return real(...asked).finally(() => (underWay -= 1));
    },
  });
}

/** The same with signatures and hashes: until none is under way, and none follows. */
export async function settle() {
  for (let quiet = 0; quiet < 3; quiet += 1) {
    await turn();
    if (underWay === 0) continue;
    quiet = -1;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** @param {(path: string, body: any, headers: Record<string, string>) => any} [node] what a request is answered */
export function fakeWorld(node = () => null) {
  let now = 1_000;
  let serial = 0;
  /** @type {{id: number, at: number, run: () => void}[]} */
  let timers = [];
  const world = {
    wallOffset: 1_700_000_000_000,
    /** @type {any[]} */
    asked: [],
    node,
    WebSocket: /** @type {any} */ (null),
    now: () => now,
    wall: () => now + world.wallOffset,
    random: (/** @type {number} */ count) => Uint8Array.from({ length: count }, () => (serial = (serial * 73 + 41) & 255)),
    setTimeout(/** @type {() => void} */ run, /** @type {number} */ ms) {
      serial += 1;
      const id = timers.length + serial * 1000;
      timers.push({ id, at: now + ms, run });
      return id;
    },
    clearTimeout(/** @type {number | undefined} */ id) {
      timers = timers.filter((timer) => timer.id !== id);
    },
    async fetch(/** @type {any} */ path, /** @type {any} */ init = {}) {
      const body = init.body ? JSON.parse(init.body) : null;
      world.asked.push({ path, body, headers: init.headers });
      const given = new Promise((_, reject) => init.signal?.addEventListener("abort", () => reject(init.signal.reason)));
      const answer = await Promise.race([world.node(path, body, init.headers), given]);
      if (init.signal?.aborted) throw init.signal.reason;
      if (!answer) throw new TypeError("no connection");
      return new Response(JSON.stringify(answer.body ?? answer), { status: answer.status ?? 200 });
    },
    /** Moves the clock, running what falls due in order. @param {number} ms */
    async pass(ms) {
      const end = now + ms;
      for (;;) {
        await turn();
        const [next] = timers.filter(({ at }) => at <= end).sort((one, other) => one.at - other.at || one.id - other.id);
        if (!next) break;
        timers = timers.filter((timer) => timer !== next);
        now = Math.max(now, next.at);
        next.run();
      }
      now = end;
      await settle();
    },
  };
  return world;
}

/**
 * A rung whose links the test holds: `links` lists every dial, newest last.
 * @param {string} name
 * @param {{alone?: boolean}} [options]
 */
export function fakeRung(name, { alone = false } = {}) {
  /** @type {FakeLink[]} */
  const links = [];
  return {
    name,
    echo: { active: 1_500, standby: 20_000 },
    window: { count: 64, bytes: 60_000, alone },
    links,
    get last() {
      return /** @type {FakeLink} */ (links.at(-1));
    },
    dial(/** @type {any} */ context, /** @type {any} */ events) {
      const link = new FakeLink(context, events);
      links.push(link);
      return link;
    },
  };
}

export class FakeLink {
  /**
   * @param {any} context
   * @param {any} events
   */
  constructor(context, events) {
    this.context = context;
    this.events = events;
    this.closed = false;
    this.active = false;
    /** @type {any[]} */
    this.sent = [];
    /** Whether echoes are answered. */
    this.alive = true;
  }

  /** @param {any} frame */
  send(frame) {
    if (frame.type === "ping") {
      const pong = { type: "pong", t: frame.t, now: this.context.world.wall() };
      if (this.alive) queueMicrotask(() => this.closed || this.events.frame(pong));
      return;
    }
    this.sent.push(frame);
  }

  /** @param {boolean} active */
  activate(active) {
    this.active = active;
  }

  refresh() {}

  /** Whether an offer of the other side belongs to this dial. */
  takes() {
    return false;
  }

  close() {
    this.closed = true;
  }

  /** The envelopes sent here, as objects. */
  get said() {
    return this.sent.filter(({ type }) => type === "send").map(({ env }) => JSON.parse(env));
  }
}

/** The profile's store and locks as several tabs of one browser share them. */
export function fakeProfile({ locks = true, refuses = false } = {}) {
  /** @type {Map<string, any>} */
  const rows = new Map();
  /** @type {Map<string, Promise<unknown>>} */
  const held = new Map();
  /** @type {Set<(event: any) => void>} */
  const ears = new Set();
  const key = (/** @type {any} */ { room, sender, id }) => `${room}|${sender}|${id}`;
  const store = {
    put: async (/** @type {any} */ row) => void rows.set(key(row), structuredClone(row)),
    drop: async (/** @type {any} */ row) => void rows.delete(key(row)),
    inRoom: async (/** @type {string} */ room) =>
      [...rows.values()].filter((row) => row.room === room).sort((one, other) => (one.hlc < other.hlc ? -1 : 1)),
  };
  return {
    rows,
    ids: () => [...rows.values()].map(({ id }) => id),
    store: Promise.resolve(refuses ? null : store),
    locks: locks ? { request: (/** @type {any[]} */ ...asked) => request(asked[0], asked[1].signal, asked[2]), query } : undefined,
    /** One tab's end of a channel. */
    channel() {
      /** @type {(event: any) => void} */
      let ear = () => {};
      return {
        postMessage: (/** @type {any} */ data) => [...ears].filter((other) => other !== ear).forEach((other) => other({ data })),
        close: () => void ears.delete(ear),
        addEventListener: (/** @type {string} */ _, /** @type {(event: any) => void} */ heard) => void ears.add((ear = heard)),
      };
    },
  };

  async function query() {
    return { held: [...held.keys()].map((name) => ({ name })) };
  }

  /** @type {(name: string, signal: AbortSignal, hold: () => Promise<void>) => Promise<void>} */
  async function request(name, signal, hold) {
    while (held.has(name)) {
      const gone = new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
      await Promise.race([held.get(name), gone]);
    }
    signal.throwIfAborted();
    const holding = hold().finally(() => held.delete(name));
    held.set(name, holding);
    await holding;
  }
}
