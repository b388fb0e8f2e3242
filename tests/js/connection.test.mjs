// Coming back: when, how soon, and when not.

import assert from "node:assert/strict";
import test from "node:test";

import { State } from "../../django_rooms/static/django_rooms/client.js";
import { answerJoin, liveRoom, network, position, settled } from "./fakes.mjs";

function states(target) {
  const seen = [];
  target.addEventListener("state", ({ detail }) => seen.push(detail.state));
  return seen;
}

test("the first join opens the socket, and asks for the protocol's version", () => {
  const net = network({ path: "https://host/ws/rooms/" });
  assert.equal(net.sockets.length, 0);
  assert.equal(net.rooms.state, State.CLOSED);
  net.rooms.join("lobby");
  assert.equal(net.socket.url, "wss://host/ws/rooms/");
  assert.deepEqual(net.socket.protocols, ["rooms.v1"]);
});

test("connection and room pass through clear states", async () => {
  const net = network();
  const ofConnection = states(net.rooms);
  const room = net.rooms.join("lobby");
  const ofRoom = states(room);
  await net.socket.welcomes();
  await answerJoin(net, net.socket.take()[0]);
  await net.socket.cut();
  await net.clock.pass(0.5);
  net.rooms.close();

  assert.deepEqual(ofConnection, ["connecting", "live", "offline", "connecting", "closed"]);
  assert.deepEqual(ofRoom, ["connecting", "live", "offline", "connecting", "closed"]);
});

test("after a cut every room is joined again from its last position", async () => {
  const net = await liveRoom({}, 41);
  net.rooms.join("kitchen", { position: position(7, "k") });
  await settled();
  await answerJoin(net, net.socket.take()[0]);
  await net.socket.cut();
  await net.clock.pass(0.5);
  await net.socket.welcomes();
  const joins = net.socket.take();
  assert.deepEqual(joins.map(({ room }) => room), ["lobby", "kitchen"]);
  assert.deepEqual(joins.map((join) => join.position), [position(41), position(7, "k")]);
});

for (const [jitter, fraction] of [["none", 0], ["half", 0.5], ["nearly all", 0.999]]) {
  test(`waits double from half a second to thirty, with full jitter (${jitter})`, async () => {
    const net = network({ random: () => fraction });
    net.rooms.join("lobby");
    for (const most of [0.5, 1, 2, 4, 8, 16, 30, 30]) {
      const tries = net.sockets.length;
      await net.socket.cut();
      assert.ok(Math.abs(net.clock.next / 1000 - most * fraction) < 1e-6);
      await net.clock.pass(net.clock.next / 1000);
      assert.equal(net.sockets.length, tries + 1);
    }
  });
}

test("a connection that lasted begins again with short waits; lives too short do not", async () => {
  const net = await liveRoom();
  await net.socket.cut();
  await net.clock.pass(0.25);
  await net.socket.welcomes();
  await net.socket.cut();
  assert.equal(net.clock.next, 500);
  await net.clock.pass(0.5);
  await net.socket.welcomes();
  await net.clock.pass(11);
  await net.socket.cut();
  assert.equal(net.clock.next, 250);
});

test("the server's closing says when to come back", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "closing", code: 4001, reason: "Restart.", reconnect: true, after: 3.2 });
  assert.equal(net.room.state, State.LIVE, "what was sent before is still answered");
  await net.socket.cut(4001);
  assert.deepEqual([net.rooms.why.reason, net.rooms.why.retryIn], ["Restart.", 3.2]);
  await net.clock.pass(3.1);
  assert.equal(net.sockets.length, 1);
  await net.clock.pass(0.2);
  assert.equal(net.sockets.length, 2);
});

test("the time to come back at stands, also when the network is said to be back meanwhile", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "closing", code: 4001, reason: "Restart.", reconnect: true, after: 3.2 });
  net.window.dispatchEvent(new Event("online"));
  await net.socket.cut(4001);
  await net.clock.pass(3.1);
  net.window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(net.sockets.length, 1);
  await net.clock.pass(0.2);
  assert.equal(net.sockets.length, 2);

  await net.socket.cut();
  net.window.dispatchEvent(new Event("online"));
  assert.equal(net.sockets.length, 3, "once it has passed, nothing is left of it");
});

test("a closing without a time is followed by the usual wait", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "closing", code: 4002, reason: "Too slow.", reconnect: true, after: 0 });
  await net.socket.cut(4002);
  assert.equal(net.rooms.why.retryIn, 0.25);
});

for (const code of [4500, 4504, 4999]) {
  test(`a close with ${code} is a refusal: nobody comes back`, async () => {
    const net = await liveRoom();
    await net.socket.cut(code, "Go away.");
    assert.equal(net.rooms.state, State.REFUSED);
    assert.equal(net.room.state, State.REFUSED);
    assert.deepEqual(net.room.why, { code: String(code), reason: "Go away." });
    assert.equal(net.clock.next, undefined);
  });
}

for (const code of [1000, 1006, 1011, 1012, 4003, 4499]) {
  test(`a close with ${code} invites to come back`, async () => {
    const net = await liveRoom();
    await net.socket.cut(code);
    assert.equal(net.rooms.state, State.OFFLINE);
    await net.clock.pass(1);
    assert.equal(net.sockets.length, 2);
  });
}

test("the closing frame's word counts where the close event carries none", async () => {
  const net = await liveRoom();
  await net.socket.says({ type: "closing", code: 4502, reason: "Banned.", reconnect: false });
  await net.socket.cut(1006);
  assert.deepEqual(net.rooms.why, { code: "4502", reason: "Banned." });
});

test("a socket that never opens stays offline with the reason in words, and goes on trying", async () => {
  const net = network();
  const room = net.rooms.join("lobby");
  for (let tries = 0; tries < 3; tries += 1) {
    await net.socket.cut();
    await net.clock.pass(net.clock.next / 1000);
  }
  const seen = states(room);
  assert.equal(room.state, State.OFFLINE);
  assert.equal(room.why.code, "unreachable");
  assert.match(room.why.reason, /cannot be opened/);
  for (let tries = 0; tries < 5; tries += 1) {
    await net.socket.cut();
    await net.clock.pass(net.clock.next / 1000);
  }
  assert.equal(net.sockets.length, 9);
  assert.deepEqual(new Set(seen), new Set(["offline"]));
});

test("a WebSocket that cannot even be made is an unreachable server", async () => {
  const net = network({ path: "ws://host/" });
  class Forbidden {
    constructor() {
      throw new Error("Insecure.");
    }
  }
  const { Rooms } = await import("../../django_rooms/static/django_rooms/client.js");
  const rooms = new Rooms("ws://host/", { WebSocket: Forbidden, clock: net.clock, random: () => 1 });
  rooms.join("lobby");
  assert.equal(rooms.state, State.OFFLINE);
  assert.match(rooms.why.reason, /Insecure/);
});

test("a handshake that hangs is given up", async () => {
  const net = network();
  net.rooms.join("lobby");
  await net.clock.pass(14);
  assert.equal(net.sockets.length, 1);
  await net.clock.pass(2);
  assert.equal(net.sockets.length, 2);
  assert.ok(net.sockets[0].closed);
});

test("the server's pings are answered", async () => {
  const { socket } = await liveRoom();
  await socket.says({ type: "ping", n: 7 });
  assert.deepEqual(socket.take(), [{ type: "pong", n: 7 }]);
});

test("a silent server is pinged, and given up if it does not answer", async () => {
  const net = await liveRoom();
  await net.clock.pass(34);
  assert.deepEqual(net.socket.take(), []);
  await net.clock.pass(2);
  assert.equal(net.socket.take()[0].type, "ping");
  await net.clock.pass(9);
  assert.equal(net.rooms.why.code, "silent");
  assert.ok(net.sockets[0].closed);
});

test("any frame is a sign of life", async () => {
  const net = await liveRoom();
  await net.clock.pass(36);
  await net.socket.says({ type: "pong", n: 1 });
  await net.clock.pass(30);
  assert.equal(net.rooms.state, State.LIVE);
});

test("when the network is back the wait is over", async () => {
  const net = await liveRoom({ random: () => 0.999 });
  await net.socket.cut();
  net.window.dispatchEvent(new Event("online"));
  assert.equal(net.sockets.length, 2);
});

test("when the network is back a live connection must prove itself", async () => {
  const net = await liveRoom();
  net.window.dispatchEvent(new Event("online"));
  await settled();
  assert.equal(net.socket.take()[0].type, "ping");
  await net.clock.pass(10);
  assert.equal(net.rooms.state, State.OFFLINE);
});

test("what is not JSON ends the connection, and the next one resumes", async () => {
  const net = await liveRoom();
  await net.socket.saysText("{NaN");
  assert.equal(net.rooms.why.code, "bad_json");
  await net.clock.pass(1);
  assert.equal(net.sockets.length, 2);
});

test("a server of another version is refused", async () => {
  const net = network();
  net.rooms.join("lobby");
  await net.socket.welcomes({ version: 2 });
  assert.equal(net.rooms.why.code, "version");
  assert.equal(net.clock.next, undefined);
});

test("a socket that was let go says nothing any more", async () => {
  const net = await liveRoom();
  const [old] = net.sockets;
  await old.cut();
  await net.clock.pass(1);
  await net.socket.welcomes();
  await old.says({ type: "closing", code: 4502, reason: "Late.", reconnect: false });
  await old.cut(4502);
  assert.equal(net.rooms.state, State.LIVE);
});

test("closing leaves the rooms, tells the server and stops for good", async () => {
  const net = await liveRoom();
  net.rooms.close();
  assert.deepEqual(net.socket.take().map(({ type }) => type), ["leave"]);
  assert.ok(net.socket.closed);
  await net.clock.pass(100);
  net.window.dispatchEvent(new Event("online"));
  assert.equal(net.sockets.length, 1);
});
