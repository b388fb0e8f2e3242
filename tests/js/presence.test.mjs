// Who is here: what a room knows of it, and what it tells.

import assert from "node:assert/strict";
import test from "node:test";

import { State } from "../../django_rooms/static/django_rooms/client.js";
import { answerJoin, entry, hear, liveRoom, member, network, position, present, settled } from "./fakes.mjs";

const UNKNOWN = { count: null, members: null, joined: [], left: [] };

/** A client that is live in `lobby` with these people, with what the room tells of them in `heard`. */
async function liveWith(...names) {
  const net = await liveRoom({ joined: { present: present(7, ...names) } });
  return Object.assign(net, { heard: hear(net.room, ["presence"]) });
}

/** The connection is back, and the room is joined with these people. */
async function comesBack(net, state) {
  await net.clock.pass(1);
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0], { present: state });
}

function changed(revision, { joined = [], left = [] }, count) {
  return { type: "presence", room: "lobby", revision, count, joined: joined.map((name) => member(name)), left: left.map((name) => `u${name}`) };
}

test("a join tells who is here, after the room is live, and takes nobody as having just come", async () => {
  const net = network();
  const room = net.rooms.join("lobby");
  const heard = hear(room, ["joined", "presence", "reset"]);
  assert.equal(room.present, null);
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0], { present: present(7, "ann", "bob"), recovered: false });

  assert.deepEqual(heard.map(([type]) => type), ["joined", "presence", "reset"]);
  assert.deepEqual(heard[1][1], { count: 2, members: [member("ann"), member("bob")], joined: [], left: [] });
  assert.deepEqual([room.present.count, room.present.members], [2, [member("ann"), member("bob")]]);
});

test("what changes is told, with whom it concerns", async () => {
  const { room, socket, heard } = await liveWith("ann", "bob");
  await socket.says(changed(8, { joined: ["cat"], left: ["bob"] }, 2));
  assert.deepEqual(heard, [["presence", { count: 2, members: [member("ann"), member("cat")], joined: [member("cat")], left: [member("bob")] }]]);
  await socket.says(changed(9, { left: ["ann"] }, 1));
  assert.deepEqual(room.present.members, [member("cat")]);
});

test("another name is told, and is no coming", async () => {
  const { room, socket, heard } = await liveWith("ann", "bob");
  const renamed = { ...member("ann"), name: "Anna" };
  await socket.says({ ...changed(8, {}, 2), joined: [renamed] });
  assert.deepEqual(heard, [["presence", { count: 2, members: [renamed, member("bob")], joined: [], left: [] }]]);
  assert.deepEqual(room.present.members[0].name, "Anna");
});

test("a room that becomes too large tells how many are here, and later who again", async () => {
  const { room, socket, heard } = await liveWith("ann", "bob");
  await socket.says({ type: "presence", room: "lobby", revision: 8, count: 1873 });
  assert.deepEqual([room.present.count, room.present.members], [1873, null]);
  await socket.says({ type: "presence", room: "lobby", revision: 9, count: 1874 });
  await socket.says({ type: "presence", room: "lobby", ...present(12, "ann", "cat") });
  await socket.says(changed(13, { joined: ["dan"] }, 3));
  const told = heard.map(([, { count, joined, left }]) => [count, joined.length, left.length]);
  assert.deepEqual(told, [[1873, 0, 0], [1874, 0, 0], [2, 0, 0], [3, 1, 0]]);
});

test("a state for one who read slowly is told as what changed", async () => {
  const { socket, heard } = await liveWith("ann", "bob");
  await socket.says({ type: "presence", room: "lobby", ...present(12, "cat", "ann") });
  assert.deepEqual(heard, [["presence", { count: 2, members: [member("cat"), member("ann")], joined: [member("cat")], left: [member("bob")] }]]);
});

test("what says nothing new is not told", async () => {
  const { room, socket, heard } = await liveWith("ann", "bob");
  await socket.says(changed(7, { joined: ["bob"] }, 2), { type: "presence", room: "lobby", ...present(9, "ann", "bob") });
  assert.deepEqual(heard, []);
  await socket.says(changed(10, { left: ["bob"] }, 1));
  assert.deepEqual(room.present.members, [member("ann")], "the state counted all the same");
});

test("a change that was lost is never skipped: the room is joined again, and tells what changed since", async () => {
  const net = await liveWith("ann", "bob");
  await net.socket.says(changed(9, { joined: ["cat"] }, 2));
  assert.equal(net.room.state, State.CONNECTING);
  await net.socket.says(changed(10, { joined: ["dan"] }, 3));
  assert.deepEqual([net.heard, net.room.present.count], [[], 2], "nothing moves before the answer");
  await answerJoin(net, net.socket.take()[0], { present: present(10, "ann", "cat", "dan") });
  assert.deepEqual(net.heard[0][1].joined, [member("cat"), member("dan")]);
  assert.deepEqual(net.heard[0][1].left, [member("bob")]);
});

test("who is here stands while the connection is lost, and afterwards only what really changed is told", async () => {
  const net = await liveWith("ann", "bob", "cat");
  await net.socket.cut();
  assert.deepEqual([net.room.state, net.room.present.count], [State.OFFLINE, 3]);
  await net.clock.pass(0.5);
  assert.deepEqual([net.room.state, net.room.present.count], [State.CONNECTING, 3]);
  assert.deepEqual(net.heard, []);
  await comesBack(net, present(1, "cat", "ann", "dan"));
  const members = [member("cat"), member("ann"), member("dan")];
  assert.deepEqual(net.heard, [["presence", { count: 3, members, joined: [member("dan")], left: [member("bob")] }]]);
});

test("a reconnect in which nothing changed is told as that", async () => {
  const net = await liveWith("ann", "bob");
  await net.socket.cut();
  await comesBack(net, present(1, "ann", "bob"));
  assert.deepEqual(net.heard, [["presence", { count: 2, members: [member("ann"), member("bob")], joined: [], left: [] }]]);
  await net.socket.says(changed(2, { left: ["bob"] }, 1));
  assert.equal(net.room.present.count, 1, "revisions begin anew");
});

test("a room that asks us to come back later is not forgotten", async () => {
  const net = await liveWith("ann");
  await net.socket.says({ type: "left", room: "lobby", code: "moved", reason: "Moving.", rejoin: true, after: 4 });
  assert.equal(net.room.present.count, 1);
});

const ENDS = {
  "a room that was left": (net) => net.room.leave(),
  "a connection that was closed": (net) => net.rooms.close(),
  "a connection that the server refuses": (net) => net.socket.cut(4502),
  "a room that we were sent out of": (net) => net.socket.says({ type: "left", room: "lobby", code: "disconnected", reason: "Out.", rejoin: false }),
};

for (const [what, end] of Object.entries(ENDS)) {
  test(`${what} does not know who is there, and says so once`, async () => {
    const net = await liveWith("ann", "bob");
    await end(net);
    assert.equal(net.room.present, null);
    net.room.leave();
    assert.deepEqual(net.heard, [["presence", UNKNOWN]]);
    await net.socket.says(changed(8, { joined: ["cat"] }, 3));
    assert.equal(net.room.present, null);
  });
}

test("a room that is left as soon as it is joined knows nobody", async () => {
  const net = network();
  const room = net.rooms.join("lobby");
  const heard = hear(room, ["presence"]);
  room.addEventListener("joined", () => room.leave());
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0], { present: present(7, "ann") });
  assert.deepEqual([room.present, heard], [null, []]);
});

test("a room that tells nobody who is here knows nobody, also if it did before", async () => {
  const plain = await liveRoom({ joined: { present: null } });
  assert.equal(plain.room.present, null);
  const net = await liveWith("ann");
  await net.socket.cut();
  await comesBack(net, null);
  assert.deepEqual([net.room.present, net.heard], [null, [["presence", UNKNOWN]]]);
});

test("what one person could see is not left to the next", async () => {
  const net = await liveWith("ann", "bob");
  await net.socket.cut();
  await net.clock.pass(1);
  await net.socket.welcomes({ user: { key: "gmallory", name: "Mallory" } });
  assert.deepEqual([net.room.present, net.heard.at(-1)], [null, ["presence", UNKNOWN]]);
  await answerJoin(net, net.socket.take()[0], { present: { revision: 3, count: 3 } });
  assert.deepEqual(net.heard.at(-1)[1], { count: 3, members: null, joined: [], left: [] });
});

test("a gap in the log keeps who is here", async () => {
  const net = await liveWith("ann", "bob");
  await net.socket.says({ type: "entries", room: "lobby", entries: [entry(43)] });
  assert.deepEqual([net.room.state, net.room.present.count], [State.CONNECTING, 2]);
  await answerJoin(net, net.socket.take()[0], { present: present(7, "ann", "bob"), position: position(41) });
  assert.deepEqual(net.heard[0][1].joined, []);
});

test("each room knows its own people", async () => {
  const net = await liveWith("ann");
  const kitchen = net.rooms.join("kitchen");
  await settled();
  await answerJoin(net, net.socket.take()[0], { present: present(3, "cat", "dan") });
  await net.socket.says({ ...changed(4, { left: ["dan"] }, 1), room: "kitchen" });
  assert.deepEqual([net.room.present.members, kitchen.present.members], [[member("ann")], [member("cat")]]);
});
