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

const WELCOME = {
  type: "welcome",
  version: 1,
  user: { key: "gann", name: "Ann" },
  ping: 25,
  pong: 10,
  limits: { frame: 65536, body: 32768, batch: 64, history: 256 },
};

/** A client with fake sockets; `net.socket` is the newest of them, seen from the server's side. */
export function network({ random = () => 0.5, path = "ws://host/ws/rooms/" } = {}) {
  const clock = new FakeClock();
  const window = new EventTarget();
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

  const rooms = new Rooms(path, { WebSocket: FakeSocket, clock, random, window });
  return {
    clock,
    rooms,
    sockets,
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

/** A client that is live in `lobby` from `offset` on, with what the room tells in `heard`. */
export async function liveRoom(options = {}, offset = 41) {
  const net = network(options);
  const room = net.rooms.join("lobby", { position: position(offset) });
  await net.socket.welcomes(options.welcome);
  const [join] = net.socket.take();
  await answerJoin(net, join);
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
