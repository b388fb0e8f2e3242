// Who is here, word by word.

import assert from "node:assert/strict";
import test from "node:test";

import { attend } from "../../django_rooms/static/django_rooms/client.js";
import { member, present } from "./fakes.mjs";

test("attend puts a whole state in the place of what was known, and finds who came and went", () => {
  const known = present(7, "ann", "bob", "eve");
  const { present: now, joined, left, gap } = attend(known, present(1, "eve", "cat", "ann"));
  assert.deepEqual([now, joined, left, gap], [present(1, "eve", "cat", "ann"), [member("cat")], [member("bob")], false]);
  assert.deepEqual(known, present(7, "ann", "bob", "eve"), "what was known is as it was");
});

test("attend takes nobody as having come where nobody's name was known, nor as having left where none is any more", () => {
  const alone = { revision: 7, count: 2, members: null };
  assert.deepEqual(attend(null, present(7, "ann")), { present: present(7, "ann"), joined: [], left: [], gap: false });
  assert.deepEqual(attend(alone, present(8, "ann")), { present: present(8, "ann"), joined: [], left: [], gap: false });
  assert.deepEqual(attend(present(3, "ann"), { revision: 7, count: 2 }), { present: alone, joined: [], left: [], gap: false });
  const change = { revision: 9, count: 3, joined: [member("bob")], left: [] };
  const unknown = { present: { revision: 9, count: 3, members: null }, joined: [], left: [], gap: false };
  assert.deepEqual(attend(alone, change), unknown, "a change of what is not known");
});

test("attend keeps everybody's place, also with another name, and puts who comes below", () => {
  const renamed = { ...member("ann"), name: "Anna", info: { away: true } };
  const word = { revision: 8, count: 3, joined: [member("cat"), renamed], left: ["ubob"] };
  const { present: now, joined, left } = attend(present(7, "ann", "bob", "eve"), word);
  assert.deepEqual(now.members, [renamed, member("eve"), member("cat")]);
  assert.deepEqual([joined, left], [[member("cat")], [member("bob")]]);
});

test("attend never takes a change that does not follow what is known", () => {
  const known = present(7, "ann");
  const change = (revision) => ({ revision, count: 2, joined: [member("bob")], left: [] });
  assert.deepEqual(attend(known, change(7)), { present: known, joined: [], left: [], gap: false });
  assert.deepEqual(attend(known, change(9)), { present: known, joined: [], left: [], gap: true });
  assert.deepEqual(attend(known, change(8)).present, present(8, "ann", "bob"));
});

test("attend is at the server's state after any run of words, and who came and went adds up to it", () => {
  const seen = { change: 0, state: 0, count: 0, again: 0, lost: 0 };
  for (let seed = 1; seed <= 300; seed += 1) {
    const random = dice(seed);
    const crowd = new Crowd(random);
    const reader = new Reader();
    for (let step = 0; step < 40; step += 1) {
      const kind = crowd.next(reader.names);
      if (kind === "change" && random() < 0.25) {
        reader.loses(crowd.change);
        reader.takes(crowd.state);
        seen.lost += 1;
      } else reader.takes(crowd[kind]);
      reader.check(crowd, kind);
      if (kind !== "count" && random() < 0.3) {
        reader.ignores(crowd.change);
        seen.again += 1;
      }
      seen[kind] += 1;
    }
  }
  for (const [what, times] of Object.entries(seen)) assert.ok(times > 1000, `${what}: hardly ever (${times})`);
});

/** Repeatable randomness. */
function dice(seed) {
  let state = seed * 7919;
  return () => (state = (state * 48271) % 2147483647) / 2147483647;
}

function byKey(members) {
  return [...members].sort((one, other) => (one.key < other.key ? -1 : 1));
}

/** The people in a room, as a server knows them: they come, go, and become others to look at. */
class Crowd {
  #random;
  #revision;
  #before = new Map();
  #here = new Map();

  constructor(random) {
    this.#random = random;
    this.#revision = this.#below(5);
  }

  /** Something happens. Returns what a client is told of it, that knows names or does not. */
  next(names) {
    this.#before = this.#here;
    this.#here = new Map(this.#before);
    for (let times = this.#below(4); times > 0; times -= 1) this.#move();
    this.#revision += 1;
    const kind = ["change", "change", "change", "change", "state", "moved", "count"][this.#below(7)];
    if (kind === "moved") this.#revision = this.#below(5); // the state is another process's
    return kind === "moved" || (kind === "change" && !names) ? "state" : kind;
  }

  get members() {
    return [...this.#here.values()];
  }

  get count() {
    return { revision: this.#revision, count: this.#here.size };
  }

  get state() {
    return { ...this.count, members: this.members };
  }

  get change() {
    const joined = this.members.filter(({ key, info }) => this.#before.get(key)?.info.look !== info.look);
    const left = [...this.#before.keys()].filter((key) => !this.#here.has(key));
    return { ...this.count, joined, left };
  }

  #move() {
    const somebody = member(["ann", "bob", "cat", "dan", "eve", "fay"][this.#below(6)], { look: this.#below(2) });
    if (this.#here.has(somebody.key) && this.#random() < 0.6) this.#here.delete(somebody.key);
    else this.#here.set(somebody.key, somebody);
  }

  #below(limit) {
    return Math.floor(this.#random() * limit);
  }
}

/** A client, and a page that goes by who came and went alone, from the first names on. */
class Reader {
  #known = null;
  #page = null;

  get names() {
    return Boolean(this.#known?.members);
  }

  takes(word) {
    const { present: now, joined, left, gap } = attend(this.#known, word);
    assert.equal(gap, false);
    assert.deepEqual([now.revision, now.count], [word.revision, word.count]);
    for (const { key } of joined) assert.ok(this.#page && !this.#page.has(key), `${key} came twice`);
    for (const { key } of left) assert.ok(this.#page?.has(key), `${key} went twice`);
    this.#known = now;
    this.#page = now.members && new Set(this.#page ?? now.members.map(({ key }) => key));
    for (const { key } of joined) this.#page.add(key);
    for (const { key } of left) this.#page.delete(key);
  }

  check(crowd, kind) {
    if (kind === "count") return assert.equal(this.#known.members, null);
    assert.deepEqual(byKey(this.#known.members), byKey(crowd.members));
    assert.deepEqual([...this.#page].sort(), crowd.members.map(({ key }) => key).sort());
  }

  /** The word before this one did not come. */
  loses(word) {
    const nothing = { present: this.#known, joined: [], left: [], gap: true };
    assert.deepEqual(attend(this.#known, { ...word, revision: this.#known.revision + 2 }), nothing);
  }

  /** It was in a state already. */
  ignores(word) {
    assert.deepEqual(attend(this.#known, word), { present: this.#known, joined: [], left: [], gap: false });
  }
}
