// What people share for a moment: how often it is said, and when it goes.

import assert from "node:assert/strict";
import test from "node:test";

import { Passing } from "../../django_rooms/static/django_rooms/client.js";
import { answerJoin, entry, FakeClock, hear, liveRoom, member, network, present, settled, WELCOME } from "./fakes.mjs";

const TYPING = { every: 3, untilMessage: true };
const bob = { key: "ubob", name: "Bob" };
const cat = { key: "ucat", name: "Cat" };

/** A live room with one passing, how often that has changed, and what it has sent since it was asked last. */
async function sharing(name = "cursor", options = {}, joined = {}, world = {}) {
  const net = await liveRoom({ joined, ...world });
  const passing = net.room.passing(name, options);
  const sent = async () => {
    await settled();
    return net.socket.take().filter(({ type }) => type === "event").map(({ body }) => body);
  };
  return Object.assign(net, { passing, sent, changes: hear(passing, ["change"]) });
}

function says(author, body, event = "cursor") {
  return { type: "event", room: "lobby", event, author, body };
}

function bodies({ states }) {
  return Object.fromEntries([...states].map(([key, { body }]) => [key, body]));
}

/** Whether nothing but the connection's own timer is running. */
async function assertNoTimers(net) {
  net.rooms.close();
  assert.equal(net.clock.next, undefined, "a timer was left behind");
}

test("one name is one passing, with the options of the first call", async () => {
  const { room, passing } = await sharing("typing", TYPING);
  assert.ok(passing instanceof Passing);
  assert.equal(room.passing("typing"), passing);
  assert.notEqual(room.passing("cursor"), passing);
});

test("the first share goes at once, and of those that come too soon the last goes when its time has come", async () => {
  const { room, passing, clock, socket } = await sharing("cursor", { every: 0.1 });
  passing.share({ x: 1 });
  passing.share({ x: 2 });
  passing.share({ x: 3 });
  await settled();
  assert.deepEqual(socket.take(), [{ type: "event", room: room.name, event: "cursor", body: { x: 1 } }]);
  await clock.pass(0.09);
  assert.deepEqual(socket.take(), []);
  await clock.pass(0.02);
  assert.deepEqual(socket.take().map(({ body }) => body), [{ x: 3 }]);
});

test("however often it is shared, one goes every so often, and the last word is the last", async () => {
  const { passing, clock, sent } = await sharing("cursor", { every: 0.1 });
  const told = [];
  for (let x = 0; x < 200; x += 1) {
    passing.share({ x });
    await clock.pass(0.016);
    told.push(...(await sent()));
  }
  await clock.pass(1);
  told.push(...(await sent()));
  // Some timers fall between two moves, so that one goes every 0.1 seconds and is not waited for longer than a move.
  assert.ok(told.length >= 3.2 / 0.116 && told.length <= 3.2 / 0.1 + 2, `${told.length} were sent`);
  assert.deepEqual(told.at(-1), { x: 199 });
  assert.deepEqual(told, [...told].sort((one, other) => one.x - other.x));
});

test("the same again is dropped until its time has come, and then said again", async () => {
  const { passing, clock, sent } = await sharing("typing", TYPING);
  passing.share();
  await clock.pass(2.9);
  passing.share();
  await clock.pass(9);
  assert.deepEqual(await sent(), [{}]);
  passing.share();
  assert.deepEqual(await sent(), [{}]);
});

test("what is back to what the others have is not sent", async () => {
  const { passing, clock, sent } = await sharing("cursor", { every: 0.1 });
  const point = { x: 1 };
  passing.share(point);
  await settled();
  point.x = 2; // whoever shares may go on with the same object
  passing.share(point);
  passing.share({ x: 1 });
  await clock.pass(1);
  assert.deepEqual(await sent(), [{ x: 1 }]);
});

test("clear says at once that it is over, and what waits is not sent any more", async () => {
  const { passing, clock, sent } = await sharing("cursor", { every: 1 });
  passing.share({ x: 1 });
  passing.share({ x: 2 });
  passing.clear();
  passing.clear();
  await clock.pass(9);
  assert.deepEqual(await sent(), [{ x: 1 }, null]);
});

test("clear says nothing where the others have nothing", async () => {
  const { passing, clock, sent } = await sharing("cursor", { seconds: 5 });
  passing.clear();
  passing.share({ x: 1 });
  await clock.pass(5);
  passing.clear();
  assert.deepEqual(await sent(), [{ x: 1 }]);
});

test("after clear the same is news, soon and not at once", async () => {
  const { passing, clock, sent } = await sharing("typing", TYPING);
  passing.share();
  passing.clear();
  passing.share();
  assert.deepEqual(await sent(), [{}, null]);
  await clock.pass(0.3);
  assert.deepEqual(await sent(), [{}]);
});

test("nothing is shared while there is no connection, nor afterwards what was meant for then", async () => {
  const { passing, room, socket, clock, rooms, sockets } = await sharing("cursor", { every: 2 });
  passing.share({ x: 1 });
  passing.share({ x: 2 });
  await socket.cut();
  passing.share({ x: 3 });
  passing.clear();
  await clock.pass(0.5);
  passing.share({ x: 4 });
  await sockets.at(-1).welcomes();
  const [join] = sockets.at(-1).take();
  passing.share({ x: 5 });
  await answerJoin({ socket: sockets.at(-1) }, join);
  await clock.pass(5);
  assert.deepEqual(sockets.at(-1).take(), []);
  passing.share({ x: 1 });
  await settled();
  assert.deepEqual(sockets.at(-1).take().map(({ body }) => body), [{ x: 1 }]);
  assert.equal(rooms.join("lobby"), room);
});

test("after a reconnect the first share goes at once", async () => {
  const net = await sharing("typing", TYPING);
  net.passing.share();
  await net.socket.cut();
  await net.clock.pass(0.5);
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0]);
  net.passing.share();
  assert.deepEqual(await net.sent(), [{}]);
});

test("nothing is shared into a clogged socket, by one who may not publish, or among too many", async () => {
  const clogged = await sharing();
  clogged.socket.bufferedAmount = 1e6;
  const reader = await sharing("cursor", {}, { can: { publish: false } });
  const crowded = await sharing("cursor", {}, { present: { revision: 1, count: 1873 } });
  const among = await sharing("cursor", {}, { present: present(1, "ann", "bob") });
  for (const { passing } of [clogged, reader, crowded, among]) passing.share();
  for (const { sent } of [clogged, reader, crowded]) assert.deepEqual(await sent(), []);
  assert.deepEqual(await among.sent(), [{}]);
});

test("what waits is not sent if it may not be any more", async () => {
  const { passing, clock, socket, sent } = await sharing("cursor", { every: 1 });
  passing.share({ x: 1 });
  passing.share({ x: 2 });
  await socket.says({ type: "can", room: "lobby", can: { publish: false } });
  passing.clear();
  passing.share({ x: 3 });
  await clock.pass(2);
  assert.deepEqual(await sent(), [{ x: 1 }]);
});

test("what is too large is refused to whom shares it, also if it would have to wait", async () => {
  const { passing, sent } = await sharing();
  passing.share({ x: 1 });
  assert.throws(() => passing.share({ text: "x".repeat(40_000) }), { name: "Refusal", code: "too_large" });
  assert.deepEqual(await sent(), [{ x: 1 }]);
});

test("what others share is theirs, changes with each new word, and is told as an event too", async () => {
  const { room, passing, socket, changes } = await sharing();
  const events = hear(room, ["event"]);
  await socket.says(says(bob, { x: 1 }), says(cat, { x: 2 }), says(bob, { x: 3 }), says(bob, { x: 3 }));
  assert.deepEqual([...passing.states], [["ubob", { author: bob, body: { x: 3 } }], ["ucat", { author: cat, body: { x: 2 } }]]);
  assert.equal(changes.length, 3, "the last word says nothing new");
  assert.equal(changes[0][1].states, passing.states);
  assert.deepEqual(events.map(([, { body }]) => body.x), [1, 2, 3, 3]);
});

test("neither our own, nor the host's, nor what has another name is anybody's state", async () => {
  const { passing, socket, changes } = await sharing();
  await socket.says(says(WELCOME.user, {}), says(null, {}), says(bob, {}, "typing"));
  assert.deepEqual([passing.states.size, changes.length], [0, 0]);
});

test("a state goes so long after its author's last word", async () => {
  const { passing, socket, clock, changes } = await sharing("cursor", { seconds: 5 });
  await socket.says(says(bob, { x: 1 }));
  await clock.pass(1);
  await socket.says(says(cat, { x: 2 }));
  await clock.pass(3.5);
  await socket.says(says(bob, { x: 1 }));
  await clock.pass(1.4);
  assert.deepEqual(bodies(passing), { ubob: { x: 1 }, ucat: { x: 2 } });
  await clock.pass(0.2);
  assert.deepEqual(bodies(passing), { ubob: { x: 1 } });
  await clock.pass(3.3);
  assert.equal(passing.states.size, 1);
  await clock.pass(0.2);
  assert.equal(passing.states.size, 0);
  assert.equal(changes.length, 4);
});

test("a state that comes after all have gone goes in its turn", async () => {
  const { passing, socket, clock } = await sharing("cursor", { seconds: 5 });
  await socket.says(says(bob, {}), says(bob, null), says(cat, {}));
  await clock.pass(6);
  await socket.says(says(bob, {}));
  await clock.pass(4);
  assert.equal(passing.states.size, 1);
  await clock.pass(2);
  assert.equal(passing.states.size, 0);
});

test("states that go together are told together", async () => {
  const { socket, clock, changes } = await sharing("cursor", { seconds: 5 });
  await socket.says(says(bob, {}), says(cat, {}));
  await clock.pass(6);
  assert.equal(changes.length, 3);
});

test("a state that has no end is kept, with a timer that a browser can wait for", async () => {
  const waits = [];
  const clock = new FakeClock();
  const { setTimeout } = clock;
  clock.setTimeout = (action, milliseconds) => waits.push(milliseconds) && setTimeout(action, milliseconds);
  const { passing, socket } = await sharing("hand", { seconds: Infinity }, {}, { clock });
  await socket.says(says(bob, {}, "hand"));
  assert.equal(Math.max(...waits), 2 ** 31 - 1);
  await clock.pass(20);
  assert.equal(passing.states.size, 1);
});

test("a state goes when its author says that it is over, and when they leave the room", async () => {
  const net = await sharing("cursor", {}, { present: present(7, "ann", "bob", "cat", "dan") });
  const { passing, socket, changes } = net;
  await socket.says(says(bob, { x: 1 }), says(cat, { x: 2 }), says({ key: "udan", name: "Dan" }, { x: 3 }));
  await socket.says(says(bob, null), says(bob, null));
  assert.deepEqual(bodies(passing), { ucat: { x: 2 }, udan: { x: 3 } });
  await socket.says({ type: "presence", room: "lobby", revision: 8, count: 3, joined: [member("eve")], left: ["ucat"] });
  assert.deepEqual(bodies(passing), { udan: { x: 3 } });
  await socket.says({ type: "presence", room: "lobby", ...present(12, "ann", "eve") });
  assert.deepEqual([bodies(passing), changes.length], [{}, 6]);
  await assertNoTimers(net);
});

test("a state of somebody who is not told as here yet is kept", async () => {
  const { passing, socket } = await sharing("cursor", {}, { present: present(7, "ann") });
  await socket.says(says(bob, {}), { type: "presence", room: "lobby", revision: 8, count: 2, joined: [member("dan")], left: [] });
  assert.deepEqual(bodies(passing), { ubob: {} });
});

test("typing ends with its author's message, and with no other entry", async () => {
  const { room, passing, socket } = await sharing("typing", TYPING);
  const cursor = room.passing("cursor");
  await socket.says(says(bob, {}, "typing"), says(cat, {}, "typing"), says(bob, { x: 1 }));
  await socket.says({ type: "entries", room: "lobby", entries: [entry(42, { kind: "edit", author: bob, target: 3 }), entry(43, { author: null })] });
  assert.deepEqual(bodies(passing), { ubob: {}, ucat: {} });
  await socket.says({ type: "entries", room: "lobby", entries: [entry(44, { author: bob })] });
  assert.deepEqual([bodies(passing), bodies(cursor)], [{ ucat: {} }, { ubob: { x: 1 } }]);
});

test("our own message ends what the others have of us, so that we are typing again with the next letter", async () => {
  const { room, passing, socket, clock, sent } = await sharing("typing", TYPING);
  const cursor = room.passing("cursor");
  passing.share();
  cursor.share({ x: 1 });
  assert.deepEqual(await sent(), [{}, { x: 1 }]);
  await clock.pass(0.05);
  await socket.says({ type: "entries", room: "lobby", entries: [entry(42, { author: WELCOME.user })] });
  passing.clear();
  cursor.share({ x: 1 });
  assert.deepEqual(await sent(), [], "a message says enough, and is no end of another passing");
  await clock.pass(0.3);
  passing.share();
  assert.deepEqual(await sent(), [{}]);
});

const LOSSES = {
  "the connection is lost": (net) => net.socket.cut(),
  "the room is left": (net) => net.room.leave(),
  "the connection is closed": (net) => net.rooms.close(),
  "we are sent out of the room": (net) => net.socket.says({ type: "left", room: "lobby", code: "disconnected", reason: "Out.", rejoin: false }),
  "the room asks us to come back later": (net) => net.socket.says({ type: "left", room: "lobby", code: "moved", rejoin: true, after: 9 }),
};

for (const [what, lose] of Object.entries(LOSSES)) {
  test(`when ${what} all states go, and no timer is left behind`, async () => {
    const net = await sharing("cursor", { every: 2 });
    await net.socket.says(says(bob, {}), says(cat, {}));
    net.passing.share({ x: 1 });
    net.passing.share({ x: 2 });
    await lose(net);
    assert.deepEqual([net.passing.states.size, net.changes.length], [0, 3]);
    await assertNoTimers(net);
  });
}

test("before the answer to a join nobody's state is heard", async () => {
  const net = network();
  const passing = net.rooms.join("lobby").passing("cursor");
  await net.socket.welcomes();
  await net.socket.says(says(bob, {}));
  assert.equal(passing.states.size, 0);
  await answerJoin(net, net.socket.take()[0]);
  await net.socket.says(says(bob, {}));
  assert.equal(passing.states.size, 1);
});

test("a crowd's states are bounded: those that are kept are kept up, and others come when one of them goes", async () => {
  const { passing, socket, clock } = await sharing("cursor", { seconds: 5 });
  const crowd = Array.from({ length: 150 }, (_, n) => ({ key: `u${n}`, name: `${n}` }));
  await socket.says(...crowd.map((author) => says(author, { x: 1 })));
  assert.equal(passing.states.size, 100);
  await socket.says(says(crowd[3], { x: 2 }), says(crowd[120], { x: 2 }), says(crowd[4], null), says(crowd[121], { x: 3 }));
  assert.deepEqual([passing.states.get("u3").body, passing.states.has("u120"), passing.states.get("u121").body], [{ x: 2 }, false, { x: 3 }]);
  await clock.pass(6);
  assert.equal(passing.states.size, 0);
});
