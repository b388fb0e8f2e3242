// Time, randomness and the network, in the test's own hands.

import { Rooms } from "../../django_rooms/static/django_rooms/client.js";

/** Time that stands still until a test lets it pass. */
export class FakeClock {
  time = 0;
  #timers = new Map();
  #ids = 0;

  now = () => this.time;

  setTimeout = (action, milliseconds) => {
    this.#timers.set(++this.#ids, { at: this.time + milliseconds, action });
    return this.#ids;
  };

  clearTimeout = (id) => this.#timers.delete(id);

  /** Milliseconds until the next timer; undefined if there is none. */
  get next() {
    const waits = [...this.#timers.values()].map(({ at }) => at - this.time);
    return waits.length ? Math.min(...waits) : undefined;
  }

  /** Lets seconds pass, with everything that falls into them, in order. */
  async pass(seconds) {
    const end = this.time + seconds * 1000;
    await settled();
    for (;;) {
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (!due) break;
      this.#timers.delete(due[0]);
      this.time = due[1].at;
      due[1].action();
      await settled();
    }
    this.time = end;
  }
}

/** Every microtask that is waiting, and those that they start. */
export function settled() {
  return new Promise((resolve) => setImmediate(resolve));
}

/** A browser's storage, in which names are in no order. With a `quota` of characters it is full at some point. */
export class FakeStorage {
  quota = Infinity;
  broken = false;
  #values = new Map();
  #names = null; // as `key` counts them

  get length() {
    this.#check();
    return this.#values.size;
  }

  key(n) {
    this.#check();
    this.#names ??= [...this.#values.keys()].map((name) => [digest(name), name]).sort(([one], [other]) => one - other);
    return this.#names[n]?.[1] ?? null;
  }

  getItem(name) {
    this.#check();
    return this.#values.get(name) ?? null;
  }

  setItem(name, value) {
    this.#check();
    if (this.quota < Infinity) {
      const others = [...this.#values].filter(([other]) => other !== name);
      if ([...others, [name, value]].flat().join("").length > this.quota) throw new Error("QuotaExceededError");
    }
    if (!this.#values.has(name)) this.#names = null;
    this.#values.set(name, String(value));
  }

  removeItem(name) {
    this.#check();
    if (this.#values.delete(name)) this.#names = null;
  }

  /** What a duplicated tab begins with. */
  copy() {
    const copy = new FakeStorage();
    copy.#values = new Map(this.#values);
    return copy;
  }

  get texts() {
    return [...this.#values.values()];
  }

  #check() {
    if (this.broken) throw new Error("SecurityError");
  }
}

function digest(text) {
  let sum = 7;
  for (const letter of text) sum = (Math.imul(sum, 31) + letter.codePointAt(0)) | 0;
  return sum;
}

/** Web Locks, exclusive ones: each name is held by one, and the others wait in a queue. */
export class FakeLocks {
  #queues = new Map();

  request(name, options, action) {
    const queue = this.#queues.get(name) ?? [];
    this.#queues.set(name, queue);
    if (options.ifAvailable && queue.length) return Promise.resolve(action(null));
    return new Promise((resolve, reject) => {
      const turn = { begin: () => this.#begin(queue, turn, action).then(resolve, reject) };
      options.signal?.addEventListener("abort", () => {
        if (queue.indexOf(turn) > 0) queue.splice(queue.indexOf(turn), 1);
        reject(new Error("AbortError"));
      });
      if (queue.push(turn) === 1) turn.begin();
    });
  }

  /** The page of whom holds it is gone, as all of its requests are. */
  async release(name) {
    this.#queues.get(name)[0].end();
    await settled();
  }

  get held() {
    return [...this.#queues].filter(([, queue]) => queue.length).map(([name]) => name);
  }

  async #begin(queue, turn, action) {
    const end = new Promise((resolve) => Object.assign(turn, { end: resolve }));
    try {
      return await Promise.race([Promise.resolve().then(() => action({})), end]);
    } finally {
      queue.shift();
      queue[0]?.begin();
    }
  }
}

export const WELCOME = {
  type: "welcome",
  version: 1,
  user: { key: "gann", name: "Ann" },
  ping: 25,
  pong: 10,
  limits: { frame: 65536, body: 32768, batch: 64, history: 256 },
};

/** A client with fake sockets; `net.socket` is the newest of them, seen from the server's side. */
export function network({
  random = () => 0.5,
  path = "ws://host/ws/rooms/",
  clock = new FakeClock(),
  window = new EventTarget(),
  storage = { tab: new FakeStorage(), browser: new FakeStorage() },
  ...options
} = {}) {
  const sockets = [];

  class FakeSocket {
    sent = [];
    bufferedAmount = 0;
    closed = false;

    constructor(url, protocols) {
      Object.assign(this, { url, protocols });
      sockets.push(this);
    }

    send(message) {
      this.sent.push(message);
    }

    close() {
      this.closed = true;
    }

    /** Frames that the client sent and that were not taken yet. */
    take() {
      return this.sent.splice(0).flatMap((message) => JSON.parse(message));
    }

    /** The server says something. */
    async says(...frames) {
      this.onmessage?.({ data: JSON.stringify(frames.length === 1 ? frames[0] : frames) });
      await settled();
    }

    async saysText(data) {
      this.onmessage?.({ data });
      await settled();
    }

    async welcomes(changes = {}) {
      await this.says({ ...WELCOME, ...changes });
    }

    /** The socket is cut. */
    async cut(code = 1006, reason = "") {
      this.onclose?.({ code, reason });
      await settled();
    }
  }

  const rooms = new Rooms(path, { WebSocket: FakeSocket, clock, random, window, storage, ...options });
  return {
    clock,
    rooms,
    sockets,
    storage,
    window,
    get socket() {
      return sockets.at(-1);
    },
  };
}

export function entry(offset, changes = {}) {
  const author = { key: "gbob", name: "Bob" };
  const at = "2026-11-22T10:00:00.000Z";
  return { offset, kind: "message", id: `id-${offset}`, author, at, body: { text: `text ${offset}` }, changed: offset, ...changes };
}

export function entriesFrom(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => entry(first + index));
}

export function position(offset, epoch = "e1") {
  return { epoch, offset };
}

/** The server's answer to the join that the client sent last. */
export async function answerJoin(net, frame, changes = {}) {
  const answer = { recovered: true, position: frame.position ?? position(0), entries: [], more: false, can: { publish: true } };
  await net.socket.says({ type: "joined", ref: frame.ref, room: frame.room, ...answer, ...changes });
}

/** Somebody in a room: `member("bob")` is Bob. */
export function member(name, info = {}) {
  return { key: `u${name}`, name: name[0].toUpperCase() + name.slice(1), info };
}

/** Who is here, as `joined` tells it. */
export function present(revision, ...names) {
  return { revision, count: names.length, members: names.map((name) => member(name)) };
}

/** A client that is live in `lobby` from `offset` on, with what the room tells in `heard`. */
export async function liveRoom(options = {}, offset = 41) {
  const net = network(options);
  const room = net.rooms.join("lobby", { position: position(offset) });
  await net.socket.welcomes(options.welcome);
  const [join] = net.socket.take();
  await answerJoin(net, join, options.joined);
  return Object.assign(net, { room, heard: hear(room) });
}

/** All that is dispatched, as [type, detail]. */
export function hear(target, types = ["reset", "entries", "event", "can", "error"]) {
  const heard = [];
  for (const type of types) target.addEventListener(type, ({ detail }) => heard.push([type, detail]));
  return heard;
}

export function offsets(heard) {
  return heard.filter(([type]) => type === "entries").flatMap(([, { entries }]) => entries.map(({ offset }) => offset));
}

/** How a promise ends, without throwing; or "pending", if nothing that is under way ends it. */
export async function outcome(promise) {
  const ended = promise.catch((error) => error);
  return Promise.race([ended, settled().then(() => "pending")]);
}

/** How a promise will end, without throwing. */
export function ending(promise) {
  return promise.catch((error) => error);
}
