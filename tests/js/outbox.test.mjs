// What waits outlives the page, and reaches nobody but whom it is by.

import assert from "node:assert/strict";
import test from "node:test";

import { Rooms } from "../../django_rooms/static/django_rooms/client.js";
import { answerJoin, ending, FakeLocks, FakeStorage, hear, liveRoom, network, outcome, settled } from "./fakes.mjs";

const texts = (items) => items.map(({ body }) => body?.text);
const ok = (frame, offset) => ({ type: "ok", ref: frame.ref, offset });
const error = (frame, code, more = {}) => ({ type: "error", ref: frame.ref, room: frame.room, code, message: `${code}.`, ...more });
const storages = (tab = new FakeStorage()) => ({ tab, browser: new FakeStorage() });

/** The page is loaded, or loaded again, with this storage: live in the lobby, with the frames that it then sent. */
async function loaded(storage, options = {}) {
  const { welcome, before = () => {}, ...others } = options;
  const net = network({ storage, ...others });
  const room = net.rooms.join("lobby");
  before(room);
  await net.socket.welcomes(welcome);
  await answerJoin(net, net.socket.take().at(-1), { recovered: false });
  return Object.assign(net, { room, frames: net.socket.take() });
}

async function writtenOffline(storage, ...all) {
  const net = await liveRoom({ storage });
  await net.socket.cut();
  for (const text of all) net.room.publish({ text }, { id: `id-${text}` });
  return net;
}

test("what was written offline is sent after a reload, in order, with the same ids", async () => {
  const storage = storages();
  await writtenOffline(storage, "1", "2", "3");
  const { room, socket, frames } = await loaded(storage);
  assert.deepEqual(frames.map(({ id }) => id), ["id-1", "id-2", "id-3"]);
  assert.deepEqual(texts(frames), ["1", "2", "3"]);

  const answers = room.outbox.map(({ answer }) => answer);
  await socket.says(...frames.map((frame, index) => ok(frame, 50 + index)));
  assert.deepEqual(await Promise.all(answers), [50, 51, 52].map((offset) => ({ offset })));
  assert.deepEqual(room.outbox, []);
  assert.deepEqual(storage.tab.texts, []);
});

test("what was sent and not answered is sent again after a reload", async () => {
  const storage = storages();
  const { room, socket } = await liveRoom({ storage });
  room.publish({ text: "unanswered" }, { id: "a" });
  await settled();
  assert.equal(socket.take().length, 1);
  assert.deepEqual((await loaded(storage)).frames.map(({ id }) => id), ["a"]);
});

test("edits and removals keep their place among the publishes, also over a reload", async () => {
  const storage = storages();
  const net = await writtenOffline(storage, "1");
  net.room.edit(30, { text: "better" }, { id: "e" });
  net.room.remove(31, { id: "r" });
  net.room.publish({ text: "2" }, { id: "p" });

  const { frames } = await loaded(storage);
  assert.deepEqual(frames.map(({ ref, ...frame }) => frame), [
    { type: "publish", room: "lobby", id: "id-1", body: { text: "1" } },
    { type: "edit", room: "lobby", id: "e", target: 30, body: { text: "better" } },
    { type: "remove", room: "lobby", id: "r", target: 31 },
    { type: "publish", room: "lobby", id: "p", body: { text: "2" } },
  ]);
});

test("a page that knows whom it was rendered for has at once what waits, and sends it after the welcome", async () => {
  const storage = storages();
  await writtenOffline(storage, "1");
  const net = network({ storage, user: "gann" });
  const room = net.rooms.join("lobby");
  assert.deepEqual(texts(room.outbox), ["1"]);
  room.publish({ text: "2" });
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0]);
  assert.deepEqual(texts(net.socket.take()), ["1", "2"]);
});

test("a page that does not know hears of what waits from the welcome, and sends it before what is new", async () => {
  const storage = storages();
  await writtenOffline(storage, "1");
  let heard;
  const { room, frames } = await loaded(storage, {
    before(room) {
      assert.deepEqual(room.outbox, []);
      heard = hear(room, ["restored"]);
      room.publish({ text: "2" });
    },
  });
  assert.deepEqual(heard.map(([, { waiting }]) => texts(waiting)), [["1"]]);
  assert.deepEqual(texts(frames), ["1", "2"]);
  assert.deepEqual(texts((await loaded(storage)).frames), ["1", "2"], "and what is new was written down too");
});

test("a room has its own, and one server's are not sent to another", async () => {
  const storage = storages();
  await writtenOffline(storage, "for the lobby");
  const elsewhere = network({ storage, path: "ws://other/ws/rooms/", user: "gann" });
  assert.deepEqual(elsewhere.rooms.join("lobby").outbox, []);
  const here = network({ storage, user: "gann" });
  assert.deepEqual(here.rooms.join("kitchen").outbox, []);
  assert.deepEqual(texts(here.rooms.join("lobby").outbox), ["for the lobby"]);
});

test("what one person wrote is neither sent nor kept where the next one is", async () => {
  const storage = storages();
  await writtenOffline(storage, "secret");
  const { room, frames } = await loaded(storage, { user: "uroot", welcome: { user: { key: "uroot", name: "root" } } });
  assert.deepEqual([frames, room.outbox, storage.tab.texts], [[], [], []]);
});

test("a page that was rendered for one person and is welcomed as another sends nothing of the first", async () => {
  const storage = storages();
  let answer;
  const { room, frames } = await loaded(storage, {
    user: "gann",
    before: (room) => (answer = ending(room.publish({ text: "as Ann" }))),
    welcome: { user: { key: "uroot", name: "root" } },
  });
  assert.deepEqual([frames, room.outbox, storage.tab.texts], [[], [], []]);
  assert.equal((await answer).code, "person_changed");
});

test("somebody else's session on a page that stays wipes what was written and what was refused", async () => {
  const storage = storages();
  const net = await liveRoom({ storage });
  const bad = ending(net.room.publish({ text: "bad" }));
  await settled();
  await net.socket.says(error(net.socket.take()[0], "forbidden"));
  await bad;
  await net.socket.cut();
  net.room.publish({ text: "secret" }).catch(() => {});
  await net.clock.pass(1);
  await net.socket.welcomes({ user: null });
  assert.deepEqual([net.room.outbox, storage.tab.texts], [[], []]);
});

test("what was refused is remembered over a reload, not sent, and sent when it is asked for again", async () => {
  const storage = storages();
  const net = await liveRoom({ storage });
  const bad = ending(net.room.publish({ text: "bad" }, { id: "a" }));
  await settled();
  await net.socket.says(error(net.socket.take()[0], "forbidden"));
  assert.equal((await bad).code, "forbidden");

  const { room, socket, frames } = await loaded(storage);
  assert.deepEqual(frames, []);
  const [{ id, body, refusal, answer }] = room.outbox;
  assert.deepEqual([refusal.code, refusal.message], ["forbidden", "forbidden."]);
  assert.equal((await outcome(answer)).code, "forbidden");
  const again = room.publish(body, { id });
  await settled();
  await socket.says(ok(socket.take()[0], 60));
  assert.deepEqual([await again, room.outbox, storage.tab.texts], [{ offset: 60 }, [], []]);
});

test("what was refused can be discarded, and what waits cannot", async () => {
  const { room, socket, storage } = await liveRoom();
  const bad = ending(room.publish({ text: "bad" }, { id: "bad" }));
  room.publish({ text: "waits" }, { id: "waits" });
  await settled();
  await socket.says(error(socket.take()[0], "bad_body"));
  await bad;
  assert.deepEqual(["bad", "bad", "waits", "unknown"].map((id) => room.discard(id)), [true, false, false, false]);
  assert.deepEqual(texts(room.outbox), ["waits"]);
  assert.equal(storage.tab.texts.length, 1);
});

test("of what was refused the newest are remembered, and they keep nothing new from being written", async () => {
  const { room, socket, storage } = await liveRoom();
  const large = "x".repeat(20_000);
  for (let n = 0; n < 70; n += 1) {
    const refused = ending(room.publish({ text: `${n} ${n < 60 ? "" : large}` }));
    await settled();
    await socket.says(error(socket.take()[0], "forbidden"));
    await refused;
  }
  const left = texts(room.outbox);
  assert.equal(left.at(-1).split(" ")[0], "69");
  assert.ok(left.length <= 50 && left.join("").length < 256 * 1024);
  assert.equal(storage.tab.texts.length, left.length);
});

test("characters are bounded too, over all rooms", async () => {
  const { rooms, room } = await liveRoom();
  const text = "x".repeat(30_000);
  const answers = Array.from({ length: 36 }, (_, n) => outcome((n % 2 ? room : rooms.join("kitchen")).publish({ text })));
  const codes = (await Promise.all(answers)).map((end) => end.code);
  assert.equal(codes.filter((code) => code === "outbox_full").length, 2);
  assert.deepEqual(codes.slice(-2), ["outbox_full", "outbox_full"]);
});

test("leaving forgets what waits, and not what was refused", async () => {
  const { rooms, room, socket, storage } = await liveRoom();
  const bad = ending(room.publish({ text: "bad" }));
  await settled();
  await socket.says(error(socket.take()[0], "forbidden"));
  await bad;
  const late = ending(room.publish({ text: "late" }));
  room.leave();
  await late;
  assert.deepEqual(room.outbox, []);
  assert.equal(storage.tab.length, 1);
  assert.deepEqual(texts(rooms.join("lobby").outbox), ["bad"]);
});

for (const [how, break_] of [
  ["forbidden", (storage) => (storage.tab.broken = true)],
  ["full", (storage) => (storage.tab.quota = 100)],
  ["missing", (storage) => (storage.tab = null)],
]) {
  test(`a storage that is ${how} is done without, and that is said once`, async () => {
    const storage = storages();
    break_(storage);
    const net = network({ storage, user: "gann" });
    const heard = hear(net.rooms, ["unkept"]);
    const room = net.rooms.join("lobby");
    const answers = ["1", "2"].map((text) => room.publish({ text }));
    await net.socket.welcomes();
    await answerJoin(net, net.socket.take()[0]);
    const frames = net.socket.take();
    await net.socket.says(ok(frames[0], 1), ok(frames[1], 2));
    assert.deepEqual(await Promise.all(answers), [{ offset: 1 }, { offset: 2 }]);
    assert.deepEqual(heard.map(([, { code }]) => code), ["storage"]);
  });
}

test("garbage under our names is passed over, and goes", async () => {
  const storage = storages();
  await writtenOffline(storage, "good");
  const good = storage.tab.key(0);
  const record = JSON.parse(storage.tab.getItem(good));
  const named = (id) => good.replace("id-good", id);
  const broken = [{ type: "dance" }, { body: 7 }, { type: "edit" }, { n: "first" }, { at: null }].map((part) => ({ ...record, ...part }));
  const values = ["", "{", "null", "7", "[]", ...broken.map((value) => JSON.stringify(value))];
  values.forEach((value, n) => storage.tab.setItem(named(`bad-${n}`), value));
  storage.tab.setItem(named("later"), JSON.stringify({ ...record, version: 2 }));
  for (const name of ["theirs", "django_rooms.outbox:", "django_rooms.outbox:{", "django_rooms.outbox:[]"]) storage.tab.setItem(name, "{");

  const { frames } = await loaded(storage);
  assert.deepEqual(texts(frames), ["good"]);
  assert.equal(storage.tab.length, 6, "what is not ours, or of another version, stays");
  await loaded(storage, { welcome: { user: { key: "uroot", name: "root" } } });
  assert.equal(storage.tab.length, 4, "another version's record is somebody's too");
});

test("a duplicated tab sends the same ids, and both tabs settle", async () => {
  const storage = storages();
  await writtenOffline(storage, "1", "2");
  const copy = { ...storage, tab: storage.tab.copy() };
  const tabs = [await loaded(storage), await loaded(copy)];
  assert.deepEqual(tabs[0].frames.map(({ id }) => id), tabs[1].frames.map(({ id }) => id));
  for (const { socket, frames } of tabs) await socket.says(...frames.map((frame, index) => ok(frame, 9 + index)));
  for (const { room } of tabs) assert.deepEqual(room.outbox, []);
  assert.deepEqual([storage.tab.texts, copy.tab.texts], [[], []]);
});

test("a page may ask that nothing is kept", async () => {
  const storage = storages();
  const net = network({ storage, keep: "page", user: "gann" });
  const heard = hear(net.rooms, ["unkept"]);
  net.rooms.join("lobby").publish({ text: "1" });
  await settled();
  assert.deepEqual([storage.tab.length, storage.browser.length, heard], [0, 0, []]);
});

// Tabs that share what outlives them.

function browser() {
  const locks = new FakeLocks();
  const shared = new FakeStorage();
  return {
    locks,
    shared,
    tab: () => ({ storage: { tab: new FakeStorage(), browser: shared }, locks, keep: "browser", user: "gann" }),
    /** The tab is closed, or its page unloaded: its locks are free, and nothing in it runs any more. */
    async close(net, held) {
      await net.socket.cut();
      for (const name of locks.held.filter((name) => !held.includes(name))) await locks.release(name);
    },
  };
}

test("what waits in a closed tab is there when the next one opens", async () => {
  const { locks, shared, tab, close } = browser();
  const one = network(tab());
  one.rooms.join("lobby").publish({ text: "1" }, { id: "a" });
  await settled();
  await close(one, []);

  const two = network(tab());
  const room = two.rooms.join("lobby");
  const heard = hear(room, ["restored"]);
  await two.socket.welcomes();
  await answerJoin(two, two.socket.take()[0]);
  assert.deepEqual(two.socket.take(), [], "the page might only be loading again");
  await two.clock.pass(6);
  const [frame] = two.socket.take();
  assert.deepEqual([frame.id, texts(heard[0][1].waiting)], ["a", ["1"]]);
  await two.socket.says(ok(frame, 1));
  assert.deepEqual(shared.texts, []);
  two.rooms.close();
  await settled();
  assert.deepEqual(locks.held, []);
});

test("of several living tabs one takes over what a closed one left, and none what a living one has", async () => {
  const { locks, tab, close } = browser();
  const others = [network(tab()), network(tab())];
  const rooms = others.map(({ rooms }) => rooms.join("lobby"));
  await settled();
  const held = locks.held;
  const one = network(tab());
  one.rooms.join("lobby").publish({ text: "1" });
  await settled();
  const key = (await one.storage.browser.key(0));
  for (const { window } of others) window.dispatchEvent(Object.assign(new Event("storage"), { key }));
  for (const { clock } of others) await clock.pass(60);
  assert.deepEqual(rooms.map(({ outbox }) => outbox.length), [0, 0]);

  await close(one, held);
  for (const { clock } of others) await clock.pass(60);
  assert.deepEqual(rooms.map(({ outbox }) => outbox.length).sort(), [0, 1]);
  assert.equal(one.storage.browser.length, 1);
});

test("a page that is loaded again comes before the other tabs", async () => {
  const { locks, tab, close } = browser();
  const other = network(tab());
  const there = other.rooms.join("lobby");
  await settled();
  const held = locks.held;
  const options = tab();
  const one = network(options);
  one.rooms.join("lobby").publish({ text: "1" });
  await settled();
  other.window.dispatchEvent(Object.assign(new Event("storage"), { key: options.storage.browser.key(0) }));
  await close(one, held);

  const again = network(options);
  const here = again.rooms.join("lobby");
  await settled();
  await other.clock.pass(60);
  assert.deepEqual([texts(here.outbox), there.outbox], [["1"], []]);
});

test("without locks nobody can tell whether a tab still lives, so each keeps to itself", async () => {
  const storage = storages();
  const net = network({ storage, keep: "browser", locks: undefined, user: "gann" });
  net.rooms.join("lobby").publish({ text: "1" });
  assert.deepEqual([storage.tab.length, storage.browser.length], [1, 0]);
});

test("asking for storages that a browser forbids throws nothing", async () => {
  const forbidden = { configurable: true, get: () => assert.fail("SecurityError") };
  const before = Object.getOwnPropertyDescriptor(globalThis, "sessionStorage");
  Object.defineProperty(globalThis, "sessionStorage", forbidden);
  try {
    const rooms = new Rooms("ws://host/", { WebSocket: class {}, storage: undefined });
    const heard = hear(rooms, ["unkept"]);
    await settled();
    assert.equal(heard.length, 1);
  } finally {
    delete globalThis.sessionStorage;
    if (before) Object.defineProperty(globalThis, "sessionStorage", before);
  }
});
