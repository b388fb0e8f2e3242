// What the client decides without a socket.

import assert from "node:assert/strict";
import test from "node:test";

import { backoff, comesBack, follow, newId, pack, socketUrl, unpack } from "../../django_rooms/static/django_rooms/client.js";
import { entriesFrom, entry, position } from "./fakes.mjs";

const LIMITS = { frame: 65536, body: 32768, batch: 64 };

test("follow takes a run from where it overlaps to where it ends", () => {
  const { position: at, fresh, gap } = follow(position(5), { entries: entriesFrom(3, 8) });
  assert.deepEqual([at, fresh.map(({ offset }) => offset), gap], [position(8), [6, 7, 8], false]);
});

test("follow stops before a gap", () => {
  const { position: at, fresh, gap } = follow(position(5), { entries: [entry(6), entry(8), entry(9)] });
  assert.deepEqual([at, fresh.length, gap], [position(6), 1, true]);
});

test("follow never takes an entry twice or out of order, however runs are cut, doubled and shuffled", () => {
  let seed = 7;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  for (let round = 0; round < 500; round += 1) {
    let at = position(0);
    const taken = [];
    for (let step = 0; step < 60; step += 1) {
      const first = 1 + Math.floor(random() * 30);
      const step = follow(at, { entries: entriesFrom(first, first + Math.floor(random() * 6)).filter(() => random() < 0.9) });
      at = step.position;
      taken.push(...step.fresh.map(({ offset }) => offset));
    }
    assert.deepEqual(taken, Array.from({ length: at.offset }, (_, index) => index + 1));
  }
});

test("pack sends one frame as itself and several as an array", () => {
  assert.deepEqual(pack([{ a: 1 }], LIMITS), ['{"a":1}']);
  assert.deepEqual(pack([{ a: 1 }, { b: 2 }], LIMITS), ['[{"a":1},{"b":2}]']);
  assert.deepEqual(pack([], LIMITS), []);
});

test("pack fills a message to its last byte and no further", () => {
  const frame = { text: "ж" }; // {"text":"ж"} has 13 bytes
  assert.equal(pack([frame, frame], { ...LIMITS, frame: 29 }).length, 1);
  assert.equal(pack([frame, frame], { ...LIMITS, frame: 28 }).length, 2);
});

test("unpack takes frames and leaves the rest", () => {
  assert.deepEqual(unpack('[{"type":"a"},7,null,[],{}]'), [{ type: "a" }]);
  assert.deepEqual(unpack('{"type":"a"}'), [{ type: "a" }]);
  assert.throws(() => unpack("NaN"));
});

test("backoff stays between nothing and its cap", () => {
  assert.equal(backoff(0, () => 1), 0.5);
  assert.equal(backoff(3, () => 1), 4);
  assert.equal(backoff(5000, () => 1), 30);
  assert.equal(backoff(9, () => 0), 0);
});

test("4500 to 4999 are final", () => {
  assert.deepEqual([1000, 1006, 4001, 4499, 5000].map(comesBack), [true, true, true, true, true]);
  assert.deepEqual([4500, 4999].map(comesBack), [false, false]);
});

test("ids are UUIDs where crypto.randomUUID is kept from insecure pages too", () => {
  const insecure = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
  const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
  assert.match(newId(insecure), uuid);
  assert.match(newId(), uuid);
  assert.notEqual(newId(insecure), newId(insecure));
});

test("addresses become ws and wss ones of the page's server", () => {
  assert.equal(socketUrl("/ws/rooms/", "https://example.com/a/"), "wss://example.com/ws/rooms/");
  assert.equal(socketUrl("/ws/rooms/", "http://example.com:8000/"), "ws://example.com:8000/ws/rooms/");
  assert.equal(socketUrl("wss://other/ws/", "http://example.com"), "wss://other/ws/");
});
