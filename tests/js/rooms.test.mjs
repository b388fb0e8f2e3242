// Resume, order and refusal in one room.

import assert from "node:assert/strict";
import test from "node:test";

import { State } from "../../django_rooms/static/django_rooms/client.js";
import { answerJoin, ending, entriesFrom, entry, hear, liveRoom, network, offsets, outcome, position, present, settled } from "./fakes.mjs";

test("a fresh join asks for a page and hands it over as a reset", async () => {
  const net = network();
  const room = net.rooms.join("lobby", { history: 20 });
  const heard = hear(room, ["joined", "reset", "entries", "can"]);
  await net.socket.welcomes();

  const [join] = net.socket.take();
  assert.deepEqual(join, { type: "join", ref: join.ref, room: "lobby", history: 20 });
  await answerJoin(net, join, { position: position(7), entries: entriesFrom(6, 7), more: true });

  assert.deepEqual(heard.map(([type]) => type), ["can", "joined", "reset"]);
  assert.equal(heard[2][1].more, true);
  assert.deepEqual(room.position, position(7));
  assert.equal(room.state, State.LIVE);
});

test("a join with a position resumes from it, and what the page has is not told again", async () => {
  const net = network();
  const room = net.rooms.join("lobby", { position: position(41) });
  const heard = hear(room);
  await net.socket.welcomes();
  const [join] = net.socket.take();
  assert.deepEqual(join.position, position(41));

  await answerJoin(net, join, { position: position(43), entries: entriesFrom(40, 43) });
  assert.deepEqual(offsets(heard), [42, 43]);
});

test("a room that was empty takes its epoch from its first entry", async () => {
  const net = network();
  const room = net.rooms.join("new", { position: position(0, "") });
  const heard = hear(room);
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await answerJoin(net, join, { position: position(0, "") });

  await net.socket.says({ type: "entries", room: "new", epoch: "e9", entries: [entry(1)] });
  assert.deepEqual(offsets(heard), [1]);
  assert.deepEqual(room.position, position(1, "e9"));
});

test("entries that were seen already are dropped", async () => {
  const { socket, heard } = await liveRoom();
  await socket.says({ type: "entries", room: "lobby", entries: entriesFrom(42, 44) });
  await socket.says({ type: "entries", room: "lobby", entries: entriesFrom(43, 45) });
  assert.deepEqual(offsets(heard), [42, 43, 44, 45]);
});

test("a gap is never skipped: the room is joined again from where it was", async () => {
  const net = await liveRoom();
  const { room, socket, heard } = net;
  await socket.says({ type: "entries", room: "lobby", entries: [entry(42), entry(44)] });
  assert.deepEqual(offsets(heard), [42]);
  const [join] = socket.take();
  assert.deepEqual(join.position, position(42));

  await socket.says({ type: "entries", room: "lobby", entries: [entry(45)] });
  assert.deepEqual(offsets(heard), [42], "nothing moves before the answer");
  await answerJoin(net, join, { position: position(45), entries: entriesFrom(43, 45) });
  assert.deepEqual(offsets(heard), [42, 43, 44, 45]);
  assert.equal(room.state, State.LIVE);
});

test("a gap in the answer to a join starts over with the newest page", async () => {
  const net = network();
  const room = net.rooms.join("lobby", { position: position(41) });
  const heard = hear(room);
  await net.socket.welcomes();
  const [resume] = net.socket.take();
  await answerJoin(net, resume, { position: position(50), entries: [entry(50)] });
  const [fresh] = net.socket.take();
  assert.equal(fresh.position, undefined);

  await answerJoin(net, fresh, { position: position(50), entries: entriesFrom(48, 50), recovered: false });
  assert.deepEqual(heard.filter(([type]) => type === "reset").length, 1);
  assert.deepEqual(offsets(heard), []);
});

test("an answer to an earlier join is too late", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "entries", room: "lobby", entries: [entry(43)] });
  const [first] = net.socket.take();
  await net.socket.cut();
  await net.clock.pass(1);
  await net.socket.welcomes();
  await answerJoin(net, first);
  assert.equal(net.room.state, State.CONNECTING);
});

test("what cannot be recovered is a reset with the newest page", async () => {
  const net = network();
  const room = net.rooms.join("lobby", { position: position(41, "old") });
  const heard = hear(room);
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await answerJoin(net, join, { recovered: false, position: position(9), entries: entriesFrom(5, 9) });
  assert.equal(heard.at(-1)[0], "reset");
  assert.equal(heard.at(-1)[1].more, false);
  assert.deepEqual(room.position, position(9));
});

test("a reset of a live room moves the position, and goes on from there", async () => {
  const { room, socket, heard } = await liveRoom();
  await socket.says({ type: "reset", room: "lobby", position: position(90), entries: entriesFrom(80, 90), reason: "pruned", more: true });
  assert.equal(heard.at(-1)[1].reason, "pruned");
  assert.equal(heard.at(-1)[1].more, true);
  await socket.says({ type: "entries", room: "lobby", entries: [entry(91)] });
  assert.deepEqual(offsets(heard), [91]);
  assert.deepEqual(room.position, position(91));
});

test("another epoch on a live room is another log", async () => {
  const { socket } = await liveRoom();
  await socket.says({ type: "entries", room: "lobby", epoch: "e2", entries: [entry(1)] });
  assert.deepEqual(socket.take()[0].position, position(41));
});

test("a position that the server cannot read is given up", async () => {
  const net = network();
  net.rooms.join("lobby", { position: { epoch: "x".repeat(99), offset: 3 } });
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await net.socket.says({ type: "error", ref: join.ref, room: "lobby", code: "bad_position", message: "Bad." });
  assert.equal(net.socket.take()[0].position, undefined);
});

test("entries of unknown kinds take their offset", async () => {
  const { room, socket } = await liveRoom();
  await socket.says({ type: "entries", room: "lobby", entries: [entry(42, { kind: "dance", body: null }), entry(43)] });
  assert.deepEqual(room.position, position(43));
});

test("unknown frames, fields and things that are no frames are ignored", async () => {
  const { room, socket, heard } = await liveRoom();
  await socket.says({ type: "confetti", room: "lobby" }, { type: "confetti" }, 7, null, "x", [], { room: "lobby" });
  await socket.says({ type: "entries", room: "elsewhere", entries: [entry(1)] });
  await socket.says({ type: "entries", room: "lobby", entries: [entry(42)], colour: "red" });
  assert.deepEqual(heard.map(([type]) => type), ["entries"]);
  assert.equal(room.state, State.LIVE);
});

test("a refused join says why, and publishes are rejected with it", async () => {
  const net = network();
  const room = net.rooms.join("secret");
  const early = ending(room.publish({ text: "hi" }));
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await net.socket.says({ type: "error", ref: join.ref, room: "secret", code: "forbidden", message: "Not you." });

  assert.equal(room.state, State.REFUSED);
  assert.deepEqual([room.why.code, room.why.reason], ["forbidden", "Not you."]);
  assert.equal((await early).code, "forbidden");
  assert.equal((await outcome(room.publish({}))).message, "Not you.");
});

test("a refused room stays out after a reconnect, until it is joined again", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "left", room: "lobby", code: "forbidden", reason: "Banned.", rejoin: false });
  assert.equal(net.room.state, State.REFUSED);
  await net.socket.cut();
  await net.clock.pass(1);
  await net.socket.welcomes();
  assert.deepEqual(net.socket.take(), []);

  assert.equal(net.rooms.join("lobby"), net.room);
  await settled();
  assert.equal(net.socket.take()[0].type, "join");
});

test("a room that was left with an invitation is joined again", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "left", room: "lobby", code: "moved", reason: "Moving.", rejoin: true, after: 4 });
  assert.equal(net.room.state, State.OFFLINE);
  await net.clock.pass(3.9);
  assert.deepEqual(net.socket.take(), []);
  await net.clock.pass(2.2);
  assert.equal(net.socket.take()[0].type, "join");
});

test("a join that may be retried is, not before its time", async () => {
  const net = network();
  const room = net.rooms.join("lobby");
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await net.socket.says({ type: "error", ref: join.ref, code: "unavailable", message: "No database.", retry_after: 2 });
  assert.equal(room.why.reason, "No database.");
  await net.clock.pass(1.9);
  assert.deepEqual(net.socket.take(), []);
  await net.clock.pass(1.2);
  assert.equal(net.socket.take()[0].type, "join");
});

test("two rooms share one socket and hear their own", async () => {
  const net = network();
  const lobby = net.rooms.join("lobby", { position: position(1) });
  const kitchen = net.rooms.join("кухня", { position: position(5) });
  const [inLobby, inKitchen] = [hear(lobby), hear(kitchen)];
  await net.socket.welcomes();
  assert.equal(net.sockets.length, 1);
  assert.equal(net.socket.sent.length, 1, "both joins go in one message");

  for (const join of net.socket.take()) await answerJoin(net, join);
  await net.socket.says(
    { type: "entries", room: "lobby", entries: [entry(2)] },
    { type: "entries", room: "кухня", entries: [entry(6)] },
    { type: "event", room: "кухня", event: "typing", author: null, body: {} },
  );
  assert.deepEqual(offsets(inLobby), [2]);
  assert.deepEqual(offsets(inKitchen), [6]);
  assert.deepEqual(inKitchen.at(-1)[1], { event: "typing", author: null, body: {} });
});

test("one name is one room, in whichever form it is written", () => {
  const net = network();
  assert.equal(net.rooms.join("caf\u00e9"), net.rooms.join("cafe\u0301"));
});

test("leaving tells the server, and a new join begins anew", async () => {
  const net = await liveRoom();
  net.room.leave();
  assert.equal(net.room.state, State.CLOSED);
  const again = net.rooms.join("lobby");
  await settled();
  assert.notEqual(again, net.room);
  assert.deepEqual(net.socket.take().map(({ type }) => type), ["leave", "join"]);
});

test("history is asked for within the limits, and ends with the connection", async () => {
  const net = await liveRoom();
  const older = net.room.history(30, 1000);
  await settled();
  const [question] = net.socket.take();
  assert.deepEqual(question, { type: "history", ref: question.ref, room: "lobby", before: 30, limit: 256 });
  await net.socket.says({ type: "history", ref: question.ref, room: "lobby", entries: [entry(29)], more: true });
  assert.deepEqual(await older, { entries: [entry(29)], more: true });

  const cut = ending(net.room.history());
  await net.socket.cut();
  assert.equal((await cut).code, "lost");
  assert.equal((await outcome(net.room.history())).code, "offline");
});

test("events are sent while live, and dropped otherwise", async () => {
  const net = await liveRoom();
  assert.equal(net.room.sendEvent("typing", { by: "ann" }), true);
  await settled();
  assert.deepEqual(net.socket.take(), [{ type: "event", room: "lobby", event: "typing", body: { by: "ann" } }]);
  net.socket.bufferedAmount = 1e6;
  assert.equal(net.room.sendEvent("typing"), false, "the socket is clogged");
  await net.socket.cut();
  assert.equal(net.room.sendEvent("typing"), false);
});

test("an error that answers nothing is told to whom it concerns", async () => {
  const net = await liveRoom();
  const elsewhere = hear(net.rooms, ["error"]);
  await net.socket.says({ type: "error", ref: null, room: "lobby", code: "rate_limited", message: "Slow down." });
  await net.socket.says({ type: "error", ref: null, room: null, code: "bad_frame", message: "What?" });
  assert.equal(net.heard[0][1].code, "rate_limited");
  assert.equal(elsewhere[0][1].message, "What?");
});

// A listener may leave the room, or close the connection, whatever it is told.
const MOMENTS = {
  "it is to come back later": ["state", { type: "left", room: "lobby", code: "moved", reason: "Moving.", rejoin: true, after: 4 }],
  "there is a gap": ["state", { type: "presence", room: "lobby", revision: 9, count: 1, joined: [], left: [] }],
  "there are entries, and then a gap": ["entries", { type: "entries", room: "lobby", entries: [entry(42), entry(44)] }],
};

for (const [moment, [type, frame]] of Object.entries(MOMENTS)) {
  for (const [end, ends] of Object.entries({ leaves: (net) => net.room.leave(), closes: (net) => net.rooms.close() })) {
    test(`who ${end} on being told that ${moment} is not joined again`, async () => {
      const net = await liveRoom({ joined: { present: present(1, "ann") } });
      net.room.addEventListener(type, () => ends(net), { once: true });
      await net.socket.says(frame);
      await settled();
      await net.clock.pass(10);

      assert.equal(net.room.state, State.CLOSED);
      assert.deepEqual(net.socket.take().filter(({ type }) => type === "join"), []);
      assert.equal(net.sockets.length, 1);
    });
  }
}

test("who leaves on being told of the join is told of no page", async () => {
  const net = network();
  const room = net.rooms.join("lobby");
  const heard = hear(room, ["joined", "reset"]);
  room.addEventListener("joined", () => room.leave());
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0]);

  assert.deepEqual(heard.map(([type]) => type), ["joined"]);
  assert.equal(room.state, State.CLOSED);
});

test("who closes on the welcome has closed, and may join again", async () => {
  const net = network();
  net.rooms.join("lobby");
  net.rooms.addEventListener("welcome", () => net.rooms.close(), { once: true });
  await net.socket.welcomes();
  assert.equal(net.rooms.state, State.CLOSED);

  const again = net.rooms.join("lobby");
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0]);
  assert.equal(again.state, State.LIVE);
});
