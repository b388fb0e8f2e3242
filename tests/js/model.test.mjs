// Whatever sockets and pages do: what was asked for is stored once and in order, and what is shown is the log.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import test from "node:test";

import * as client from "../../django_rooms/static/django_rooms/client.js";
import { run } from "./model.mjs";

const FILE = new URL("../../django_rooms/static/django_rooms/client.js", import.meta.url);
const SEEDS = Number(process.env.MODEL_SEEDS ?? 80);
const FIRST = Number(process.env.MODEL_SEED ?? 1);
const STEPS = 150;

test("a publish that was answered is in the log once and in order, and a page shows the log", async (t) => {
  const counts = {};
  for (let seed = FIRST; seed < FIRST + SEEDS; seed += 1) {
    for (const [name, count] of Object.entries(await run(client, seed, STEPS))) counts[name] = (counts[name] ?? 0) + count;
  }
  t.diagnostic(JSON.stringify(counts));
  for (const [name, count] of Object.entries(counts)) assert.ok(count > SEEDS / 3, `${name}: hardly ever (${count})`);
});

// The same with one thing broken. A model that sees none of these would show nothing above.
const SABOTAGES = {
  "a publish that is sent again has another id": ["    return { type, room, id, target, body };", "    return { type, room, id: newId(), target, body };"],
  "what is sent again after a cut comes behind what is new": ["first ? [...waiting, ...this.#items]", "first ? [...this.#items, ...waiting]"],
  "what waits is not sent again after a cut": ["      item.sent = false;\n", ""],
  "what waits is not written down": ["    this.#set(this.#name(item), {", "    if (!item) this.#set(this.#name(item), {"],
  "what waits is read in any order": ["return inOrder(records)", "return records"],
  "what was stored stays written down": ["    this.#shelf.drop(item);\n    item.resolve", "    item.resolve"],
  "after busy only the refused one goes again": ["    this.#outbox.interrupt();\n    this.#pause(frame.retry_after", "    this.#pause(frame.retry_after"],
  "entries that were seen are shown again": ["    if (entry.offset <= offset) continue;\n    if (entry.offset > offset + 1)", "    if (entry.offset > offset + 1)"],
  "a reset does not move the position": ["    this.position = position;\n    this.#dispatch(\"reset\"", "    this.#dispatch(\"reset\""],
  "what a join brings is not shown": ["    else if (resumed.fresh.length) this.#dispatch(\"entries\", { entries: resumed.fresh });\n", ""],
};

for (const [what, [before, after]] of Object.entries(SABOTAGES)) {
  test(`the model sees it if ${what}`, async () => {
    const source = await readFile(FILE, "utf8");
    assert.equal(source.split(before).length, 2, "what is to be broken stands in the client once");
    const broken = await import(`data:text/javascript,${encodeURIComponent(source.replace(before, after))}`);
    await assert.rejects(async () => {
      for (let seed = 1; seed <= 60; seed += 1) await run(broken, seed, STEPS);
    }, /Seed \d+/);
  });
}
