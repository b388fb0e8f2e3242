// A publish is stored once and in order, or its author learns why not.

import assert from "node:assert/strict";
import test from "node:test";

import { answerJoin, ending, liveRoom, network, outcome, settled } from "./fakes.mjs";

const texts = (frames) => frames.map(({ body }) => body.text);
const ok = (frame, offset) => ({ type: "ok", ref: frame.ref, offset });
const error = (frame, code, more = {}) => ({ type: "error", ref: frame.ref, room: frame.room, code, message: `${code}.`, ...more });

test("a publish ends with its offset", async () => {
  const { room, socket } = await liveRoom();
  const answer = room.publish({ text: "hi" }, { id: "a" });
  await settled();
  const [frame] = socket.take();
  assert.deepEqual(frame, { type: "publish", ref: frame.ref, room: "lobby", id: "a", body: { text: "hi" } });
  await socket.says(ok(frame, 42));
  assert.deepEqual(await answer, { offset: 42 });
});

test("publishes of one moment are one message, in order", async () => {
  const { room, socket } = await liveRoom();
  for (const text of ["1", "2", "3"]) room.publish({ text });
  await settled();
  assert.equal(socket.sent.length, 1);
  assert.deepEqual(texts(socket.take()), ["1", "2", "3"]);
});

test("a refusal that is final rejects, and the next ones go on", async () => {
  const { room, socket } = await liveRoom();
  const [bad, good] = [ending(room.publish({ text: "bad" })), room.publish({ text: "good" })];
  await settled();
  const frames = socket.take();
  await socket.says(error(frames[0], "bad_body"), ok(frames[1], 42));
  const refusal = await bad;
  assert.deepEqual([refusal.name, refusal.code, refusal.message, refusal.retryAfter], ["Refusal", "bad_body", "bad_body.", null]);
  assert.deepEqual(await good, { offset: 42 });
});

for (const code of ["busy", "rate_limited", "unavailable"]) {
  test(`after ${code} all that waits is sent again, in order and not before its time`, async () => {
    const { room, socket, clock } = await liveRoom();
    const answers = ["1", "2", "3"].map((text) => room.publish({ text }, { id: text }));
    await settled();
    const [one, two, three] = socket.take();
    await socket.says(ok(one, 42), error(two, code, { retry_after: 1.5 }), error(three, code, { retry_after: 1.5 }));
    answers.push(room.publish({ text: "4" }, { id: "4" }));

    await clock.pass(1.4);
    assert.deepEqual(socket.take(), []);
    await clock.pass(0.9);
    const again = socket.take();
    assert.deepEqual(again.map(({ id }) => id), ["2", "3", "4"]);
    await socket.says(...again.map((frame, index) => ok(frame, 43 + index)));
    assert.deepEqual(await Promise.all(answers), [42, 43, 44, 45].map((offset) => ({ offset })));
  });
}

test("an answer to a sending that was given up decides nothing, unless it is ok", async () => {
  const { room, socket, clock } = await liveRoom();
  const [, two, three] = ["1", "2", "3"].map((text) => room.publish({ text }));
  await settled();
  const [first, second, third] = socket.take();
  await socket.says(error(first, "busy", { retry_after: 1 }));
  await clock.pass(2);
  await socket.says(error(second, "bad_body"), ok(third, 42));
  assert.equal(await outcome(two), "pending");
  assert.deepEqual(await three, { offset: 42 });
});

test("what was in flight when the socket was cut goes again with the same id, after the join, before what is new", async () => {
  const net = await liveRoom();
  const answers = [net.room.publish({ text: "1" }), net.room.publish({ text: "2" })];
  await settled();
  const before = net.socket.take();
  await net.socket.cut();
  answers.push(net.room.publish({ text: "3" }));
  await net.clock.pass(1);
  await net.socket.welcomes();

  const [join, ...early] = net.socket.take();
  assert.deepEqual([join.type, early], ["join", []]);
  await answerJoin(net, join);
  const again = net.socket.take();
  assert.deepEqual(texts(again), ["1", "2", "3"]);
  assert.deepEqual(again.slice(0, 2).map(({ id }) => id), before.map(({ id }) => id));
  await net.socket.says(...again.map((frame, index) => ok(frame, 42 + index)));
  assert.deepEqual((await Promise.all(answers)).map(({ offset }) => offset), [42, 43, 44]);
});

test("a publish before the first connection waits for it", async () => {
  const net = network();
  const answer = net.rooms.join("lobby").publish({ text: "early" });
  await net.socket.welcomes();
  const [join] = net.socket.take();
  await answerJoin(net, join);
  const [frame] = net.socket.take();
  await net.socket.says(ok(frame, 1));
  assert.deepEqual(await answer, { offset: 1 });
});

test("one id is one publish", async () => {
  const { room, socket } = await liveRoom();
  const both = [room.publish({ text: "x" }, { id: "same" }), room.publish({ text: "x" }, { id: "same" })];
  await settled();
  const frames = socket.take();
  assert.equal(frames.length, 1);
  await socket.says(ok(frames[0], 42));
  assert.deepEqual(await Promise.all(both), [{ offset: 42 }, { offset: 42 }]);
});

test("a body that is too large is refused here, counted in bytes", async () => {
  const { room, socket } = await liveRoom({ welcome: { limits: { frame: 1000, body: 100, batch: 64 } } });
  const refusal = await outcome(room.publish({ text: "ж".repeat(50) }));
  assert.equal(refusal.code, "too_large");
  assert.match(refusal.message, /111 bytes.*100/);
  await settled();
  assert.deepEqual(socket.take(), []);
});

test("messages keep to the server's limits", async () => {
  const { room, socket } = await liveRoom({ welcome: { limits: { frame: 400, body: 200, batch: 3 } } });
  for (let n = 0; n < 5; n += 1) room.publish({ text: "x".repeat(n) });
  room.publish({ text: "y".repeat(180) });
  room.publish({ text: "z".repeat(180) });
  await settled();
  assert.ok(socket.sent.every((message) => message.length <= 400 && [JSON.parse(message)].flat().length <= 3));
  assert.deepEqual(texts(socket.take()).map((text) => text.length), [0, 1, 2, 3, 4, 180, 180]);
});

test("only so many wait for their answer, and only so many wait at all", async () => {
  const { room, socket } = await liveRoom();
  const answers = Array.from({ length: 501 }, (_, n) => ending(room.publish({ text: `${n}` })));
  await settled();
  const frames = socket.take();
  assert.equal(frames.length, 64);
  assert.equal((await answers[500]).code, "outbox_full");
  await socket.says(ok(frames[0], 42));
  assert.deepEqual(texts(socket.take()), ["64"]);
});

test("what one person wrote is never sent as another", async () => {
  const net = await liveRoom();
  const answer = ending(net.room.publish({ text: "mine" }));
  await net.socket.cut();
  await net.clock.pass(1);
  await net.socket.welcomes({ user: { key: "uroot", name: "root" } });
  const [join] = net.socket.take();
  await answerJoin(net, join);
  assert.deepEqual(net.socket.take(), []);
  assert.equal((await answer).code, "person_changed");
});

test("leaving rejects what waits", async () => {
  const { room } = await liveRoom();
  const answer = ending(room.publish({ text: "late" }));
  room.leave();
  assert.equal((await answer).code, "left");
});

test("an edit and a removal are sent and answered as a publish is", async () => {
  const { room, socket } = await liveRoom();
  const answers = [room.edit(30, { text: "better" }, { id: "e" }), ending(room.remove(31, { id: "r" }))];
  await settled();
  const [edit, removal] = socket.take();
  assert.deepEqual(edit, { type: "edit", ref: edit.ref, room: "lobby", id: "e", target: 30, body: { text: "better" } });
  assert.deepEqual(removal, { type: "remove", ref: removal.ref, room: "lobby", id: "r", target: 31 });
  await socket.says(ok(edit, 42), error(removal, "unknown_target"));
  assert.deepEqual(await answers[0], { offset: 42 });
  assert.equal((await answers[1]).code, "unknown_target");
});

test("an edit's body has the limits of a publish's", async () => {
  const { room } = await liveRoom({ welcome: { limits: { frame: 1000, body: 100, batch: 64 } } });
  assert.equal((await outcome(room.edit(30, { text: "x".repeat(100) }))).code, "too_large");
});

test("changes come through the entries as they are", async () => {
  const { socket, heard } = await liveRoom();
  const changes = [["edit", 30, { text: "better" }], ["removal", 30, null], ["erasure", undefined, null]];
  const entries = changes.map(([kind, target, body], n) => ({ offset: 42 + n, kind, target, id: "", author: null, at: "", body, changed: 42 + n }));
  await socket.says({ type: "entries", room: "lobby", entries });
  assert.deepEqual(heard[0][1].entries, JSON.parse(JSON.stringify(entries)));
});
