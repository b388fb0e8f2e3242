// Clients against a small server, through all that a WebSocket and a page may do to them, by a seed.
//
// The server has a log and keeps to docs/wire.md. What a socket carries is in two queues of messages, one each way: at any
// moment either goes on by one message, or the socket is cut with what is in both.

import assert from "node:assert/strict";

import { FakeClock, FakeStorage, settled, WELCOME } from "./fakes.mjs";

const ROOM = "lobby";
const PEOPLE = ["gann", "gbob"];
const PATIENCE = 120; // rounds of a second until all must have come to rest
const MOVES = 20_000; // messages until then

/** Runs the clients of the module `client` through `steps` steps. Throws an error that names the seed and the steps. */
export async function run(client, seed, steps) {
  const world = new World(client, seed);
  try {
    for (let step = 0; step < steps; step += 1) await world.step();
    await world.rest();
    world.check();
  } catch (error) {
    error.message = `Seed ${seed}: ${error.message}\n${world.trace.join("\n")}`;
    throw error;
  }
  return world.counts;
}

/** Repeatable randomness (mulberry32). */
class Dice {
  #state;

  constructor(seed) {
    this.#state = seed;
  }

  next = () => {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };

  below(limit) {
    return Math.floor(this.next() * limit);
  }

  chance(probability) {
    return this.next() < probability;
  }

  of(list) {
    return list[this.below(list.length)];
  }
}

class World {
  trace = [];
  counts = { submitted: 0, resolved: 0, refused: 0, cuts: 0, reloads: 0, resets: 0, resumed: 0, busy: 0, repeats: 0 };

  constructor(client, seed) {
    this.client = client;
    this.dice = new Dice(seed);
    this.server = new Server(this.dice, this.counts);
    this.people = PEOPLE.map((key) => new Person(this, key));
  }

  async step() {
    const { dice, server } = this;
    const person = dice.of(this.people);
    const roll = dice.below(100);
    if (roll < 18) this.#do(`${person.key} writes`, () => person.write(dice.chance(0.1) ? 70 : 1 + dice.below(3)));
    else if (roll < 58) this.#do(`${person.key}'s socket goes on`, () => person.socket?.goOn());
    else if (roll < 75) await this.#pass(person, [0.1, 0.5, 2, 9][dice.below(4)]);
    else if (roll < 82) this.#do("the host says something", () => server.append("host", `host-${server.log.length}`, { type: "publish" }));
    else if (roll < 90) this.#do(`${person.key}'s socket is cut`, () => person.socket?.cut());
    else if (roll < 94) this.#do(`${person.key} loads the page again`, () => person.reload());
    else if (roll < 97) this.#do(`the server is ${server.busy ? "at ease" : "busy"}`, () => (server.busy = !server.busy));
    else if (roll < 98) this.#do("the epoch is renewed", () => server.renew());
    else if (roll < 99) this.#do("the log is pruned", () => server.prune());
    else this.#do(`${person.key}'s server closes`, () => person.socket?.farewell());
    await settled();
    for (const { view } of this.people) view.check(server);
  }

  /** Nothing more goes wrong, and everything that waits has its time. */
  async rest() {
    this.trace.push("all goes well from here on");
    this.server.busy = false;
    this.server.calm = true;
    let moves = 0;
    for (let round = 0; round < PATIENCE; round += 1) {
      for (const person of this.people) {
        await person.clock.pass(1);
        for (; person.socket?.goOn() && moves < MOVES; moves += 1) await settled();
      }
      await settled();
      if (this.people.every((person) => person.atRest)) break;
    }
  }

  check() {
    const { server, counts } = this;
    for (const person of this.people) {
      const { key, submitted, resolved, refused, view, room } = person;
      assert.deepEqual(room.outbox.filter(({ refusal }) => !refusal).map(({ id }) => id), [], `${key}'s outbox is not empty`);
      const stored = server.log.filter(({ author }) => author?.key === key).map(({ id }) => id);
      const expected = submitted.filter((id) => !refused.has(id));
      assert.deepEqual(stored, expected, `the log has not all of ${key}'s in order, each once`);
      for (const [id, offset] of resolved) assert.equal(server.log[offset - 1].id, id, `${id} was answered with another's offset`);
      for (const { id } of room.outbox) room.discard(id);
      assert.deepEqual(person.storage.tab.texts, [], `${key}'s storage is not empty`);
      assert.equal(view.offset, server.log.length, `${key} has not seen all`);
      counts.submitted += submitted.length;
      counts.resolved += resolved.size;
      counts.refused += refused.size;
    }
  }

  #do(words, action) {
    this.trace.push(words);
    action();
  }

  async #pass(person, seconds) {
    this.trace.push(`${seconds} s pass for ${person.key}`);
    await person.clock.pass(seconds);
  }
}

/** Somebody with one tab: its storage outlives its pages. */
class Person {
  storage = { tab: new FakeStorage(), browser: null };
  submitted = []; // ids, in the order of the calls
  resolved = new Map(); // the offsets that answers had, by id
  refused = new Set();
  #pages = 0;
  #known;
  #rooms;

  constructor(world, key) {
    this.world = world;
    this.key = key;
    this.#load();
  }

  get atRest() {
    return this.room.state === "live" && this.view.offset === this.world.server.log.length && this.room.outbox.every(({ refusal }) => refusal);
  }

  /** A burst of publishes, edits and removals. Some ids are such as the server refuses for good. */
  write(count) {
    const { dice, server } = this.world;
    for (let n = 0; n < count; n += 1) {
      const id = `${this.key}-${this.submitted.length}${dice.chance(0.03) ? "-bad" : ""}`;
      const target = 1 + dice.below(server.log.length + 1);
      const ways = [
        () => this.room.publish({ text: id }, { id }),
        () => this.room.edit(target, { text: id }, { id }),
        () => this.room.remove(target, { id }),
      ];
      this.submitted.push(id);
      this.#expect(id, ways[dice.chance(0.7) ? 0 : 1 + dice.below(2)]());
    }
  }

  /** The page ends at any moment, as a tab's process may, and is rendered anew with what the log has by now. */
  reload() {
    // Before the first welcome a page that does not know for whom it is can write nothing down.
    if (!this.#known && !this.#rooms.user) return;
    this.world.counts.reloads += 1;
    this.socket?.vanish();
    this.#load();
  }

  #load() {
    const { client, dice, server, counts } = this.world;
    const page = (this.#pages += 1);
    this.socket = null;
    this.clock = new FakeClock();
    const WebSocket = socketOf(this, () => page === this.#pages, server, counts);
    this.#known = dice.chance(0.5); // some pages know whom they were rendered for
    const user = this.#known ? this.key : null;
    const options = { WebSocket, user, clock: this.clock, random: dice.next, storage: this.storage, window: new EventTarget() };
    const position = dice.chance(0.5) ? server.position : null;
    this.#rooms = new client.Rooms("ws://host/ws/rooms/", options);
    this.room = this.#rooms.join(ROOM, { position });
    this.view = new View(this.room, position, counts);
    for (const { id, answer } of this.room.outbox) this.#expect(id, answer);
    this.room.addEventListener("restored", ({ detail }) => detail.waiting.forEach(({ id, answer }) => this.#expect(id, answer)));
  }

  #expect(id, answer) {
    answer.then(({ offset }) => this.resolved.set(id, offset), () => this.refused.add(id));
  }
}

/** What a page shows: the newest page that it was given, and what came after. */
class View {
  #first; // the offset of the first entry shown
  #entries = [];

  constructor(room, position, counts) {
    this.offset = position?.offset ?? 0;
    this.#first = this.offset + 1;
    room.addEventListener("reset", ({ detail: { entries, position } }) => {
      counts.resets += 1;
      this.#entries = [...entries];
      this.#first = entries[0]?.offset ?? position.offset + 1;
      this.offset = position.offset;
    });
    room.addEventListener("entries", ({ detail: { entries } }) => {
      this.#entries.push(...entries);
      this.offset = entries.at(-1).offset;
    });
  }

  /** It is a piece of the log without a gap, in order, each entry once. */
  check(server) {
    const shown = this.#entries.map(({ offset, id }) => [offset, id]);
    const wanted = server.log.slice(this.#first - 1, this.offset).map(({ offset, id }) => [offset, id]);
    assert.deepEqual(shown, wanted, "what is shown is no piece of the log");
  }
}

/** A log and its epoch, and the connections that follow it. */
class Server {
  log = [];
  epoch = "";
  busy = false;
  calm = false;
  #epochs = 0;
  #floor = 0;
  #byId = new Map();
  #connections = new Set();

  constructor(dice, counts) {
    this.dice = dice;
    this.counts = counts;
  }

  get position() {
    return { epoch: this.epoch, offset: this.log.length };
  }

  /** Stores once what has one id of one person, and returns its offset. */
  append(author, id, { type, target, body = null }) {
    const known = this.#byId.get(`${author} ${id}`);
    if (known) this.counts.repeats += 1;
    if (known) return known;
    if (!this.epoch) this.epoch = `e${(this.#epochs += 1)}`;
    const offset = this.log.length + 1;
    const kind = { publish: "message", edit: "edit", remove: "removal" }[type];
    this.log.push({ offset, kind, target, id, author: { key: author, name: author }, at: "2026-11-22T10:00:00.000Z", body, changed: offset });
    this.#byId.set(`${author} ${id}`, offset);
    for (const connection of this.#connections) if (this.calm || this.dice.chance(0.7)) connection.follow();
    return offset;
  }

  /** As after a failover: the same entries, but nobody's position counts any more. */
  renew() {
    if (this.epoch) this.epoch = `e${(this.#epochs += 1)}`;
    for (const connection of this.#connections) connection.reset("The log is another one.");
  }

  prune() {
    this.#floor = this.dice.below(this.log.length + 1);
  }

  recovers(position) {
    const same = position?.epoch === this.epoch || (position?.epoch === "" && position.offset === 0);
    return Boolean(position) && same && position.offset >= this.#floor && position.offset <= this.log.length;
  }

  newest(count) {
    const first = Math.max(this.#floor, this.log.length - count);
    return { position: this.position, entries: this.log.slice(first), more: first > this.#floor };
  }

  opened(connection) {
    this.#connections.add(connection);
  }

  closed(connection) {
    this.#connections.delete(connection);
  }
}

/** The server's side of one socket. What it says goes to `say`; acks may wait until other things were said. */
class ServerConnection {
  #server;
  #user;
  #say;
  #place = null; // the offset that the client was given last
  #first = false; // it has nothing yet, and no epoch
  #refused = null; // the id that has to come again before any other
  #acks = [];

  constructor(server, user, say) {
    this.#server = server;
    this.#user = user;
    this.#say = say;
    server.opened(this);
    say({ ...WELCOME, user: { key: user, name: user } });
  }

  take(frame) {
    if (frame.type === "join") this.#join(frame);
    else if (frame.type === "ping") this.#say({ type: "pong", n: frame.n });
    else if (["publish", "edit", "remove"].includes(frame.type)) this.#submitted(frame);
  }

  /** What was delayed is said: acks in their order, and what the log has beyond the client's place. */
  follow() {
    const { dice, calm } = this.#server;
    if (calm || dice.chance(0.5)) this.answer();
    if (this.#place === null) return;
    const rest = this.#server.log.slice(this.#place);
    if (!rest.length) return;
    const again = this.#server.log.slice(this.#place - dice.below(3), this.#place); // it is for clients to drop these
    const entries = [...again, ...rest.slice(0, calm ? rest.length : 1 + dice.below(5))];
    const epoch = entries[0].offset === 1 ? { epoch: this.#server.epoch } : {};
    this.#place = entries.at(-1).offset;
    this.#say({ type: "entries", room: ROOM, ...epoch, entries });
  }

  answer() {
    for (const frame of this.#acks.splice(0)) this.#say(frame);
  }

  reset(reason) {
    if (this.#place === null) return;
    const page = this.#server.newest(5);
    this.#place = page.position.offset;
    this.#say({ type: "reset", room: ROOM, reason, ...page });
  }

  #join({ ref, position, history }) {
    const recovered = this.#server.recovers(position);
    if (recovered) this.#server.counts.resumed += 1;
    const rest = recovered ? this.#server.log.slice(position.offset) : [];
    const entries = rest.slice(0, 20);
    const resumed = { position: { epoch: this.#server.epoch, offset: position?.offset + entries.length }, entries, more: rest.length > 20 };
    const answer = recovered ? resumed : this.#server.newest(Math.min(history, 5));
    this.#place = answer.position.offset;
    this.#say({ type: "joined", ref, room: ROOM, recovered, can: { publish: true }, ...answer });
  }

  #submitted(frame) {
    const { dice, busy, calm, counts } = this.#server;
    const { ref, id } = frame;
    const refuse = (code, more) => this.#acks.push({ type: "error", ref, room: ROOM, code, message: code, ...more });
    if (this.#refused !== null && id !== this.#refused) refuse("busy", { retry_after: 0.5 });
    else if (id.endsWith("-bad")) {
      this.#refused = null;
      refuse("bad_body");
    } else if (!calm && (busy || dice.chance(0.05))) {
      counts.busy += 1;
      this.#refused = id;
      refuse(dice.of(["busy", "unavailable"]), { retry_after: 0.5 });
    } else {
      this.#refused = null;
      this.#acks.push({ type: "ok", ref, offset: this.#server.append(this.#user, id, frame) });
    }
    if (calm || dice.chance(0.6)) this.answer();
  }
}

/** A WebSocket class for one page of one person. */
function socketOf(person, pageLives, server, counts) {
  return class {
    bufferedAmount = 0;
    #up = []; // messages on their way to the server
    #down = [];
    #side = null;
    #open = true;

    constructor() {
      person.socket = this;
    }

    send(message) {
      this.#up.push(message);
    }

    close() {
      this.vanish();
    }

    /** One message arrives, at either end. Returns whether there was anything to go on with. */
    goOn() {
      if (!this.#open) return false;
      if (!this.#side) this.#side = new ServerConnection(server, person.key, (frame) => this.#down.push(JSON.stringify(frame)));
      else if (this.#up.length && (!this.#down.length || server.dice.chance(0.5))) this.#arrived(this.#up.shift());
      else if (this.#down.length) this.onmessage?.({ data: this.#down.shift() });
      else {
        this.#side.follow();
        return this.#down.length > 0;
      }
      return true;
    }

    /** Both ends lose what is on its way; the client hears of it. */
    cut(code = 1006) {
      if (!this.#open) return;
      counts.cuts += 1;
      // What is on its way may still arrive, up to any message.
      for (let rest = server.dice.below(this.#up.length + 1); this.#side && rest > 0; rest -= 1) this.#arrived(this.#up.shift());
      this.vanish();
      if (pageLives()) this.onclose?.({ code, reason: "" });
    }

    farewell() {
      if (!this.#side || !this.#open) return;
      this.onmessage?.({ data: JSON.stringify({ type: "closing", code: 4001, reason: "Restart.", reconnect: true, after: 1.5 }) });
      this.cut(4001);
    }

    vanish() {
      this.#open = false;
      if (this.#side) server.closed(this.#side);
    }

    #arrived(message) {
      for (const frame of [JSON.parse(message)].flat()) this.#side.take(frame);
    }
  };
}
