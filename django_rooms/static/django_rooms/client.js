/**
 * django_rooms in JavaScript: many rooms over one WebSocket, kept up through cut networks and restarted servers.
 *
 *     import { Rooms } from "./client.js";
 *     const lobby = new Rooms("/ws/rooms/").join("lobby");
 *     lobby.addEventListener("reset", ({ detail }) => showInstead(detail.entries));
 *     lobby.addEventListener("entries", ({ detail }) => showBelow(detail.entries));
 *     const { offset } = await lobby.publish({ text: "hello" });
 *
 * Must not know of any page: no DOM, no words in the reader's language (`code` is for those who translate), and of a
 * storage only what is passed in. It is one module that imports nothing, because static files storages that put a hash
 * into file names leave the imports between modules as they are. From top to bottom: what a page uses (`Rooms`, `Room`,
 * `Passing`), what waits to be sent (`Outbox`, `Item`), what of it outlives the page (`Shelf`, `Heirs`), the socket (`Connection`).
 *
 * @typedef {{epoch: string, offset: number}} Position  What a client resumes from.
 * @typedef {{key: string, name: string}} Author
 * @typedef {{key: string, name: string, info: Object}} Member
 * @typedef {{revision: number, count: number, members: ?(Member[])}} Present  Who is here; without `members` how many are.
 * @typedef {{offset: number, kind: string, target?: number, id: string, author: ?Author, at: string, body: ?Object,
 *   changed: number}} Entry  `target` is the offset of the message that an edit or a removal changes.
 * @typedef {{frame: number, body: number, batch: number, history: number}} Limits  Bytes, bytes, frames, entries.
 * @typedef {{code: string, reason: string, retryIn?: number}} Why  Why something is in its state; `retryIn` in seconds.
 * @typedef {{now: () => number, setTimeout: Function, clearTimeout: Function}} Clock  In milliseconds.
 * @typedef {{type: "publish"|"edit"|"remove", id: string, target?: number, body?: Object, at: string, refusal: ?Refusal,
 *   answer: Promise<{offset: number}>}} Waiting  What was asked for and has no `ok` yet; with a `refusal` it never will,
 *   unless it is asked for again.
 */

/** What a connection and each room on it can be. CLOSED: nobody here wants it; REFUSED: the server does not want it. */
export const State = Object.freeze({
  CONNECTING: "connecting",
  LIVE: "live",
  OFFLINE: "offline",
  REFUSED: "refused",
  CLOSED: "closed",
});

/** A refusal that sending again would not change. `code` is one of the wire's, or one of `REASONS` below. */
export class Refusal extends Error {
  constructor({ code, message, reason, retry_after: retryAfter = null }) {
    super(message ?? reason ?? code);
    this.name = "Refusal";
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

const REASONS = {
  bad_json: "The server sent something that is not JSON.",
  closed: "The connection was closed here.",
  left: "The room was left here.",
  lost: "The connection was lost.",
  offline: "There is no connection to the server now.",
  outbox_full: "Too many messages are waiting to be sent.",
  person_changed: "This was written as somebody else, and was not sent.",
  refused: "The server refused the connection.",
  silent: "The server fell silent.",
  storage: "The browser's storage is missing, forbidden or full: what waits would not outlive the page.",
  too_large: "This is too large to be sent.",
  unreachable:
    "The live connection cannot be opened. The server may be down, " +
    "or something on the way (a proxy, a policy, the allowed hosts) lets no WebSocket through.",
  version: "This page and the server speak different versions. Reload the page.",
};
const RETRYABLE = new Set(["busy", "rate_limited", "unavailable"]);

const PROTOCOL = "rooms.v1";
const VERSION = 1;
/** @type {Limits} Until the server's welcome names its own. */
const LIMITS = { frame: 65536, body: 32768, batch: 64, history: 256 };
const BACKOFF = { base: 0.5, cap: 30 };
const HANDSHAKE_SECONDS = 15;
const STABLE_SECONDS = 10; // a connection that lasted less counts as one more failure: no hot loop of short lives
const PATIENCE = 3; // failures in a row after which a further try is no longer shown as "connecting"
const WINDOW = 64; // publishes, edits and removals of one room that may wait for their answer
const OUTBOX = 500; // those of one room that may wait altogether
const CHARACTERS = 1024 * 1024; // of JSON that may wait in all rooms: a fifth of what browsers store for a site
const REFUSED = { items: 50, characters: 256 * 1024 }; // what was refused is remembered, the newest first
const GRACE_SECONDS = 5; // for a page to load again before another tab takes over what it left
const RECORD_VERSION = 1;
const BACKLOG = 65536; // bytes unsent beyond which events are let go
const AUTHORS = 100; // whose states are kept under one name
const RENEW_SECONDS = 0.2; // from the end of a state of ours to the next one
const LONGEST = 2 ** 31 - 1; // milliseconds that a timer can wait: with more it would not wait at all

/**
 * The rooms of one server over one socket. Dispatches `state`, `welcome`, `error` and
 * `unkept` ({code, reason}: what waits is in memory alone, because the storage does not take it).
 */
export class Rooms extends EventTarget {
  /** @type {?Author} Who the server says we are. */
  user = null;
  #connection;
  #rooms = new Map();
  #answers = new Map();
  #ref = 0;
  #shelf;
  #heirs = null;
  #clock;
  #random;
  #window;
  #online = () => this.#connection.hurry();

  /**
   * @param {string} url  Of `ws/rooms/`; a path is taken from the page's own server.
   * @param {Object} [options]
   * @param {?string} [options.user]  The author key of whom the page was rendered for. What waits from before a reload is
   *   then in `outbox` at once, and sent when the server's welcome says that it is still the same person.
   * @param {"tab"|"browser"|"page"} [options.keep]  How long what waits is kept: over reloads, also when the tab is closed,
   *   or only as long as the page.
   * @param {{tab: ?Storage, browser: ?Storage}} [options.storage]  For other runtimes and for tests, as the rest.
   */
  constructor(url, {
    user = null,
    keep = "tab",
    storage = { tab: browserStorage("sessionStorage"), browser: browserStorage("localStorage") },
    locks = globalThis.navigator?.locks,
    WebSocket = globalThis.WebSocket,
    clock = systemClock,
    random = Math.random,
    window = globalThis,
  } = {}) {
    super();
    this.#clock = clock;
    this.#random = random;
    this.#window = window;
    const address = socketUrl(url);
    this.#connection = new Connection(address, { WebSocket, clock, random }, {
      welcome: (frame) => this.#welcomed(frame),
      frame: (frame) => this.#route(frame),
      state: (state, why) => this.#follow(state, why),
    });
    // Without locks nobody could tell a closed tab from a living one, so each keeps to its own.
    const shared = keep === "browser" && locks && storage.browser;
    this.#shelf = new Shelf(address, {
      storage: keep === "page" ? null : shared || storage.tab,
      owner: shared ? newId() : "",
      trouble: () => this.dispatchEvent(new CustomEvent("unkept", { detail: { code: "storage", reason: REASONS.storage } })),
    });
    if (keep !== "page" && !(shared || storage.tab)) this.#shelf.complain();
    this.#shelf.suppose(user);
    if (shared) this.#heirs = new Heirs(address, this.#shelf, { locks, session: storage.tab, clock, window, adopted: () => this.#adopt() });
  }

  get state() {
    return this.#connection.state;
  }

  get why() {
    return this.#connection.why;
  }

  /** @returns {Limits} */
  get limits() {
    return this.#connection.limits;
  }

  /**
   * Enters a room, now and after every reconnect. One name is one `Room`, however often it is joined; joining a room
   * that was refused tries again.
   *
   * @param {string} name
   * @param {{position?: ?Position, history?: number}} [options]  Resume from `position`, which a page may carry;
   *   `history` is how many entries a fresh start brings.
   * @returns {Room}
   */
  join(name, { position = null, history = 50 } = {}) {
    name = name.normalize("NFC");
    if (!this.#rooms.has(name)) {
      const options = { position, history, shelf: this.#shelf, clock: this.#clock, random: this.#random };
      this.#rooms.set(name, new Room(this, name, options));
    }
    const room = this.#rooms.get(name);
    this.connect();
    room._open(this.state, this.why);
    return room;
  }

  /** Opens the connection, also after a refusal. `join` does this by itself. */
  connect() {
    this.#window?.addEventListener?.("online", this.#online);
    this.#connection.open();
  }

  /** Leaves every room and closes the socket for good. */
  close() {
    this.#window?.removeEventListener?.("online", this.#online);
    for (const room of [...this.#rooms.values()]) room.leave();
    this.#connection.close();
    this.#heirs?.close();
  }

  /** @internal A frame that needs no answer. */
  _send(frame) {
    this.#connection.send(frame);
  }

  /** @internal Whether so much is unsent that what may be dropped should be. */
  get _clogged() {
    return this.#connection.backlog > BACKLOG;
  }

  /** @internal `answer` gets the reply or error frame; null if the connection ended before one came. */
  _ask(frame, answer) {
    const ref = ++this.#ref;
    this.#answers.set(ref, answer);
    this.#connection.send({ ref, ...frame });
    return ref;
  }

  /** @internal */
  _forget(room) {
    this.#rooms.delete(room.name);
  }

  #welcomed(frame) {
    this.user = frame.user ?? null;
    const key = this.user?.key ?? "";
    const before = this.#shelf.user;
    if (before !== null && before !== key) {
      // A log-out or another session: what one person wrote must never go out under another's name.
      for (const room of this.#rooms.values()) room._disown();
    }
    this.#shelf.own(key);
    if (before !== key) for (const room of this.#rooms.values()) room._restore({ first: true });
    this.dispatchEvent(new CustomEvent("welcome", { detail: frame }));
  }

  /** What another tab left is ours now. */
  #adopt() {
    for (const room of this.#rooms.values()) room._restore({ first: false });
  }

  #follow(state, why) {
    if (state !== State.LIVE) this.#hangUp();
    this.dispatchEvent(new CustomEvent("state", { detail: { state, ...why } }));
    for (const room of [...this.#rooms.values()]) room._follow(state, why);
  }

  #hangUp() {
    const answers = [...this.#answers.values()];
    this.#answers.clear();
    for (const answer of answers) answer(null);
  }

  #route(frame) {
    const answer = this.#answers.get(frame.ref);
    if (answer) {
      this.#answers.delete(frame.ref);
      answer(frame);
    } else if (this.#rooms.has(frame.room)) {
      this.#rooms.get(frame.room)._receive(frame);
    } else if (frame.type === "error") {
      this.dispatchEvent(new CustomEvent("error", { detail: new Refusal(frame) }));
    }
  }
}

/**
 * One room. Dispatches `state`, `joined`, `can`, `event`, `error`, `restored` ({waiting}: what waits since before a
 * reload, or in a tab that was closed, and is in `outbox` from now on), `presence` ({count, members, joined, left}: who is
 * here, and who has come and gone since that was told last; null and empty if it is not known any more), and what matters
 * most:
 * `entries` ({entries}: what comes next, each once and in order) and
 * `reset` ({entries, more, reason}: the newest page; the first one, or to be shown instead of all that was before).
 */
export class Room extends EventTarget {
  state = State.CLOSED;
  /** @type {Why} */
  why = { code: "left", reason: REASONS.left };
  /** @type {?Position} */
  position;
  /** @type {{publish?: boolean}} What the server lets us do here. */
  can = {};
  /** @type {?Present} Who is here, as it was known last; null where it is not known. */
  present = null;
  #rooms;
  #history;
  #clock;
  #random;
  #outbox;
  #passings = new Map();
  #joining = null; // the ref of the join under way: answers to earlier ones are too late
  #timer = null; // until then no join, or no publish, is sent: the server asked to wait

  /** @internal Ask `Rooms.join` for one. */
  constructor(rooms, name, { position, history, shelf, clock, random }) {
    super();
    this.name = name;
    this.position = position;
    this.#rooms = rooms;
    this.#history = history;
    this.#outbox = new Outbox(name, shelf);
    this.#clock = clock;
    this.#random = random;
  }

  /**
   * Stored once, in the order of the calls, also if the connection is cut meanwhile or not there yet, or the page is
   * reloaded: then the answer is in `outbox`.
   *
   * @param {Object} body
   * @param {{id?: string}} [options]  The same id counts once, so whoever keeps it may publish again.
   * @returns {Promise<{offset: number}>}  Rejects with a `Refusal` where trying again would change nothing.
   */
  async publish(body, { id = newId() } = {}) {
    return this.#submit({ type: "publish", id, body });
  }

  /** Gives the message at the offset `target` another body. Otherwise as `publish`, and in one order with it. */
  async edit(target, body, { id = newId() } = {}) {
    return this.#submit({ type: "edit", id, target, body });
  }

  /** Takes the body of the message at the offset `target` away. Otherwise as `publish`, and in one order with it. */
  async remove(target, { id = newId() } = {}) {
    return this.#submit({ type: "remove", id, target });
  }

  /** @returns {Waiting[]}  What has no `ok` yet, oldest first: what waits, and then what was refused. */
  get outbox() {
    return this.#outbox.all;
  }

  /** Forgets what was refused. Returns false for what waits: it may be stored already. */
  discard(id) {
    return this.#outbox.discard(id);
  }

  /** Not stored, and first to be dropped. Returns whether it was handed to the socket. */
  sendEvent(event, body = {}) {
    if (this.state !== State.LIVE || this.#rooms._clogged) return false;
    this.#rooms._send(this._event(event, body));
    return true;
  }

  /**
   * What people share for a moment under a name: that they type, where they point. Not stored. One name is one `Passing`,
   * with the options of the first call.
   *
   * @param {string} name  Of the events that carry it.
   * @param {{seconds?: number, every?: number, untilMessage?: boolean}} [options]  A state goes `seconds` after its author's
   *   last word, and with a message of theirs if `untilMessage`. We send one `every` so many seconds, and not more.
   * @returns {Passing}
   */
  passing(name, { seconds = 5, every = 0.1, untilMessage = false } = {}) {
    if (!this.#passings.has(name)) {
      this.#passings.set(name, new Passing(this, name, { seconds, every, untilMessage, clock: this.#clock }));
    }
    return this.#passings.get(name);
  }

  /**
   * Messages before an offset, oldest first; the newest ones without it.
   *
   * @param {?number} [before]
   * @param {number} [limit]
   * @returns {Promise<{entries: Entry[], more: boolean}>}  Rejects if there is no connection, or it ends meanwhile.
   */
  async history(before = null, limit = 50) {
    if (this.state !== State.LIVE) throw new Refusal({ code: "offline", reason: REASONS.offline });
    const frame = { type: "history", room: this.name, limit: Math.min(limit, this.#rooms.limits.history) };
    if (before !== null) frame.before = before;
    const answer = await new Promise((resolve) => this.#rooms._ask(frame, resolve));
    if (answer?.type !== "history") throw new Refusal(answer ?? { code: "lost", reason: REASONS.lost });
    return { entries: answer.entries, more: answer.more };
  }

  /** Quits the room. What still waits is rejected with the code `left` and forgotten; what was refused is kept. */
  leave() {
    if (this.#rooms.state === State.LIVE && !this.#ended) this.#rooms._send({ type: "leave", room: this.name });
    this.#rooms._forget(this);
    this.#outbox.abandon(new Refusal({ code: "left", reason: REASONS.left }));
    this.#enter(State.CLOSED, { code: "left", reason: REASONS.left });
  }

  /** @internal */
  _open(state, why) {
    if (this.#ended) this.#begin(state, why);
  }

  /** @internal The connection is in another state now. */
  _follow(state, why) {
    if (!this.#ended) this.#begin(state, why);
  }

  /** @internal The connection now belongs to another person. */
  _disown() {
    this.#outbox.forget(new Refusal({ code: "person_changed", reason: REASONS.person_changed }));
    this.#forget(); // they may see less than we did
  }

  /** @internal Whether we may share something. Where only the number of people is told, there are too many for it. */
  get _shares() {
    return Boolean(this.can.publish) && this.present?.members !== null;
  }

  /** @internal An event's frame. Throws a `Refusal` where it is too large. */
  _event(event, body) {
    const frame = { type: "event", room: this.name, event, body };
    this.#measure(body, frame);
    return frame;
  }

  /** @internal There may be more on the shelf. What waits from before a reload was written `first`. */
  _restore({ first }) {
    const waiting = this.#outbox.restore({ first });
    if (!waiting.length) return;
    this.#dispatch("restored", { waiting });
    if (this.#ended) this.#outbox.refuseAll(new Refusal(this.why));
    else this.#flush();
  }

  /** @internal A frame for this room that answers nothing. Frames that we do not know are ignored, as the wire asks. */
  _receive(frame) {
    if (frame.type === "left" && frame.code) this.#expelled(frame);
    else if (frame.type === "error") this.#dispatch("error", new Refusal(frame));
    else if (frame.type === "can") this.#allow(frame.can);
    // Before the answer to our join nothing moves: that answer begins exactly at our position.
    else if (this.state !== State.LIVE) return;
    else if (frame.type === "entries") this.#advance(frame);
    else if (frame.type === "reset") this.#restart(frame);
    else if (frame.type === "presence") this.#attend(frame);
    else if (frame.type === "event") this.#hear(frame);
  }

  get #ended() {
    return this.state === State.REFUSED || this.state === State.CLOSED;
  }

  /** The one place where a room's state changes. */
  #enter(state, why) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
    if (state !== State.LIVE) this.#outbox.interrupt();
    this.state = state;
    this.why = why;
    const ended = this.#ended;
    if (ended) {
      this.#joining = null;
      this.#outbox.refuseAll(new Refusal(why));
    }
    this.#dispatch("state", { state, ...why });
    if (state !== State.LIVE) for (const passing of this.#passings.values()) passing._end();
    // Who is here stands while the connection is lost: most are still here when it is back.
    if (ended) this.#forget();
  }

  #begin(state, why) {
    if (state === State.LIVE) this.#join();
    else this.#enter(state, why);
  }

  #join(why = { code: "joining", reason: "" }) {
    this.#enter(State.CONNECTING, why);
    if (this.state !== State.CONNECTING) return; // whoever heard of it has left
    const frame = { type: "join", room: this.name, history: this.#history };
    if (this.position) frame.position = this.position;
    const ref = this.#rooms._ask(frame, (answer) => {
      if (answer && ref === this.#joining) this.#answered(answer);
    });
    this.#joining = ref;
  }

  #answered(frame) {
    if (frame.type === "joined") this.#joined(frame);
    else if (RETRYABLE.has(frame.code)) this.#comeBack({ ...frame, reason: frame.message, after: frame.retry_after });
    else if (frame.code === "bad_position" && this.position) this.#startOver(frame);
    else this.#enter(State.REFUSED, { code: frame.code, reason: frame.message });
  }

  #joined(frame) {
    const resumed = this.position && frame.recovered ? follow(this.position, frame) : null;
    // A gap inside the very answer to our position: no position of ours can be resumed from.
    if (resumed?.gap) return this.#startOver({ code: "gap", message: "The server could not fill a gap." });
    if (resumed) this.position = { epoch: frame.position.epoch, offset: resumed.position.offset };
    this.#enter(State.LIVE, { code: "live", reason: "" });
    this.#allow(frame.can ?? this.can);
    this.#dispatch("joined", frame);
    if (frame.present) this.#attend(frame.present, { first: true });
    else this.#forget();
    if (this.state !== State.LIVE) return; // whoever heard of the join has left
    if (!resumed) this.#restart(frame);
    else if (resumed.fresh.length) this.#dispatch("entries", { entries: resumed.fresh });
    this.#flush();
  }

  #advance(frame) {
    const { position, fresh, gap } = follow(this.position, frame);
    this.position = position;
    if (fresh.length) this.#dispatch("entries", { entries: fresh });
    for (const { kind, author } of fresh) if (kind === "message" && author) this.#said(author);
    if (gap && this.state === State.LIVE) this.#join({ code: "gap", reason: "" });
  }

  #said({ key }) {
    for (const passing of this.#passings.values()) passing._said(key, this.#isUs(key));
  }

  #hear({ event, author, body }) {
    this.#dispatch("event", { event, author, body });
    if (author && !this.#isUs(author.key)) this.#passings.get(event)?._hear(author, body);
  }

  /** In another tab too. */
  #isUs(key) {
    return key === this.#rooms.user?.key;
  }

  #attend(frame, { first = false } = {}) {
    if (this.state !== State.LIVE) return; // whoever heard of the join has left
    const before = this.present;
    const { present, joined, left, gap } = attend(before, frame);
    if (gap) return this.#join({ code: "gap", reason: "" });
    this.present = present;
    const { count, members } = present;
    if (!first && same([before?.count, before?.members], [count, members])) return;
    this.#dispatch("presence", { count, members, joined, left });
    const gone = left.map(({ key }) => key);
    for (const passing of this.#passings.values()) passing._drop(gone);
  }

  #forget() {
    if (!this.present) return;
    this.present = null;
    this.#dispatch("presence", { count: null, members: null, joined: [], left: [] });
  }

  #restart({ position, entries, more, reason = "" }) {
    this.position = position;
    this.#dispatch("reset", { position, entries, more, reason });
  }

  #startOver({ code, message }) {
    this.position = null;
    this.#join({ code, reason: message });
  }

  #expelled({ code, reason = REASONS.refused, rejoin = false, after }) {
    if (rejoin) this.#comeBack({ code, reason, after });
    else this.#enter(State.REFUSED, { code, reason });
  }

  #comeBack({ code, reason, after }) {
    this.#enter(State.OFFLINE, { code, reason });
    if (this.state === State.OFFLINE) this.#pause(after, () => this.#join());
  }

  #allow(can) {
    this.can = can;
    this.#dispatch("can", can);
  }

  async #submit(request) {
    if (this.#ended) throw new Refusal(this.why);
    this.#measure(request.body, { room: this.name, ...request });
    const { answer } = this.#outbox.add(request);
    this.#flush();
    return answer;
  }

  #flush() {
    if (this.state !== State.LIVE || this.#timer !== null) return;
    for (const item of this.#outbox.due()) {
      const { frame, attempt } = item;
      this.#rooms._ask(frame, (answer) => answer && this.#submitted(item, attempt, answer));
    }
  }

  #submitted(item, attempt, frame) {
    if (frame.type === "ok") this.#outbox.accept(item, frame.offset);
    else if (attempt !== item.attempt) return; // it was sent again since: the answer to that one counts
    else if (RETRYABLE.has(frame.code)) return this.#retry(frame);
    else this.#outbox.refuse(item, new Refusal(frame));
    this.#flush();
  }

  /** The server now refuses all later publishes until this one comes again, so all of them go again, in order. */
  #retry(frame) {
    this.#outbox.interrupt();
    this.#pause(frame.retry_after, () => this.#flush());
  }

  /** Never earlier than the server asks for, and spread, so that all whom it told so do not come at once. */
  #pause(seconds = 1, action) {
    const wait = seconds * (1 + this.#random() / 2);
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(() => {
      this.#timer = null;
      action();
    }, wait * 1000);
  }

  #measure(body, frame) {
    const { body: bodyLimit, frame: frameLimit } = this.#rooms.limits;
    const size = byteLength(JSON.stringify(body) ?? "");
    // Some bytes are left for the frame's ref, which is not known yet.
    if (size <= bodyLimit && byteLength(JSON.stringify(frame)) + 32 <= frameLimit) return;
    throw new Refusal({ code: "too_large", message: `${REASONS.too_large} It has ${size} bytes, allowed are ${bodyLimit}.` });
  }

  #dispatch(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}

/**
 * What people in a room share under one name, until shortly after their last word. Dispatches `change` ({states}).
 * It is sent as events are: not stored, and first to be dropped.
 */
export class Passing extends EventTarget {
  /** @type {Map<string, {author: Author, body: Object}>} Those of others, by the author's key, in the order of their coming. */
  states = new Map();
  #room;
  #name;
  #seconds;
  #every;
  #untilMessage;
  #clock;
  #ends = new Map(); // when each state goes, by the author's key; the first to go comes first
  #timer = null; // for that one
  #shared = null; // what the others have of us, as JSON
  #sharedUntil = 0;
  #notBefore = 0; // the time at which the next one may go
  #turn = null; // the timer for what waits for it

  /** @internal Ask `Room.passing` for one. */
  constructor(room, name, { seconds, every, untilMessage, clock }) {
    super();
    this.#room = room;
    this.#name = name;
    this.#seconds = seconds;
    this.#every = every;
    this.#untilMessage = untilMessage;
    this.#clock = clock;
  }

  /**
   * Tells the others. What comes too soon waits, and of all that waits the last is sent; nothing is while there is no
   * connection, nor where we may not publish, nor where only the number of people is told.
   *
   * @param {Object} [body]  Throws a `Refusal` if it is too large.
   */
  share(body = {}) {
    this.#room._event(this.#name, body);
    this.#clock.clearTimeout(this.#turn);
    const wait = this.#notBefore - this.#clock.now();
    if (wait <= 0) this.#send(body);
    else if (JSON.stringify(body) !== this.#shared) this.#turn = this.#clock.setTimeout(() => this.#send(body), wait);
  }

  /** Tells the others that it is over, if they have something of us. */
  clear() {
    const heard = this.#shared !== null && this.#clock.now() < this.#sharedUntil;
    if (heard && this.#room._shares) this.#room.sendEvent(this.#name, null);
    this.#forget();
  }

  /** @internal Somebody else's word; null: it is over. */
  _hear(author, body) {
    const { key } = author;
    const before = this.states.get(key);
    if ((body ?? null) === null) return this._drop([key]);
    if (!before && this.states.size >= AUTHORS) return;
    this.#ends.delete(key);
    this.#ends.set(key, this.#clock.now() + this.#seconds * 1000);
    this.states.set(key, { author, body });
    this.#watch();
    if (!same(before, { author, body })) this.#changed();
  }

  /** @internal A message of somebody's came. What the others had of us went with it, if it was ours. */
  _said(key, ours) {
    if (!this.#untilMessage) return;
    if (ours) this.#forget();
    else this._drop([key]);
  }

  /** @internal What these people had shared is over. */
  _drop(keys) {
    let changed = false;
    for (const key of keys) {
      this.#ends.delete(key);
      changed = this.states.delete(key) || changed;
    }
    if (!this.states.size) this.#unwatch();
    if (changed) this.#changed();
  }

  /** @internal Nothing is heard or said here now. */
  _end() {
    this.#forget();
    this._drop([...this.states.keys()]);
  }

  #send(body) {
    if (!this.#room._shares || !this.#room.sendEvent(this.#name, body)) return;
    const now = this.#clock.now();
    this.#shared = JSON.stringify(body);
    this.#sharedUntil = now + this.#seconds * 1000;
    this.#notBefore = now + this.#every * 1000;
  }

  /** The others have nothing of us, so that what comes next is news to them, whatever it is. */
  #forget() {
    this.#clock.clearTimeout(this.#turn);
    if (this.#shared !== null) this.#notBefore = this.#clock.now() + RENEW_SECONDS * 1000;
    this.#shared = null;
  }

  #watch() {
    if (this.#timer !== null || !this.#ends.size) return;
    const [end] = this.#ends.values();
    this.#timer = this.#clock.setTimeout(() => this.#expire(), Math.min(end - this.#clock.now(), LONGEST));
  }

  #unwatch() {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = null;
  }

  #expire() {
    this.#timer = null;
    const now = this.#clock.now();
    this._drop([...this.#ends].filter(([, end]) => end <= now).map(([key]) => key));
    this.#watch();
  }

  #changed() {
    this.dispatchEvent(new CustomEvent("change", { detail: { states: this.states } }));
  }
}

// What waits to be sent.

/** What was asked for in one room and the server has not answered, oldest first; and what it has refused. */
class Outbox {
  #room;
  #shelf;
  #items = new Map();
  #refused = new Map();

  constructor(room, shelf) {
    this.#room = room;
    this.#shelf = shelf;
    this.restore({ first: true });
  }

  get all() {
    this.#letGo();
    return [...this.#items.values(), ...this.#refused.values()];
  }

  add(request) {
    const known = this.#items.get(request.id);
    if (known) return known;
    if (this.#items.size >= OUTBOX) throw new Refusal({ code: "outbox_full", reason: REASONS.outbox_full });
    const item = new Item({ ...request, room: this.#room, at: new Date().toISOString() });
    this.#shelf.add(item, this.#refused.get(item.id));
    this.#refused.delete(item.id);
    this.#items.set(item.id, item);
    return item;
  }

  /** Takes from the shelf what is not here yet, and returns that. */
  restore({ first }) {
    const fresh = this.#shelf.items(this.#room).filter(({ id }) => !this.#items.has(id) && !this.#refused.has(id));
    const waiting = fresh.filter(({ refusal }) => !refusal).map((item) => [item.id, item]);
    this.#items = new Map(first ? [...waiting, ...this.#items] : [...this.#items, ...waiting]);
    for (const item of fresh) {
      this.#shelf.remember(item);
      if (item.refusal) this.#refused.set(item.id, item);
    }
    return fresh;
  }

  /** What to send now, which then counts as sent; at most WINDOW wait for an answer. */
  due() {
    const items = [...this.#items.values()].slice(0, WINDOW).filter((item) => !item.sent);
    for (const item of items) item.sent = true;
    return items;
  }

  /** Nothing counts as sent any more: the socket is gone, or the server wants all of it again. */
  interrupt() {
    for (const item of this.#items.values()) {
      item.sent = false;
      item.attempt += 1;
    }
  }

  accept(item, offset) {
    if (!this.#take(item)) return;
    this.#shelf.drop(item);
    item.resolve({ offset });
  }

  /** It is kept, to be shown and perhaps asked for again, but not sent any more. */
  refuse(item, refusal) {
    if (!this.#take(item)) return;
    item.refusal = refusal;
    this.#refused.set(item.id, item);
    this.#shelf.refuse(item);
    item.reject(refusal);
  }

  refuseAll(refusal) {
    for (const item of [...this.#items.values()]) this.refuse(item, refusal);
  }

  discard(id) {
    const item = this.#refused.get(id);
    if (!item) return false;
    this.#shelf.drop(item);
    return this.#refused.delete(id);
  }

  /** Nothing more is sent from here. What was refused stays written down. */
  abandon(refusal) {
    for (const item of this.#refused.values()) this.#shelf.release(item);
    this.#refused.clear();
    this.forget(refusal);
  }

  /** As if nothing of it had ever been asked for here. */
  forget(refusal) {
    const items = this.all;
    this.#items.clear();
    this.#refused.clear();
    for (const item of items) {
      this.#shelf.drop(item);
      item.reject(refusal);
    }
  }

  /** False for an item that is gone, also where its id has been asked for anew. */
  #take(item) {
    return this.#items.get(item.id) === item && this.#items.delete(item.id);
  }

  #letGo() {
    for (const item of this.#refused.values()) if (!this.#shelf.has(item)) this.#refused.delete(item.id);
  }
}

/** A publish, an edit or a removal on its way: a `Waiting` to those outside. */
class Item {
  attempt = 0;
  sent = false;

  constructor({ room, type, id, target, body, at, refusal = null }) {
    Object.assign(this, { room, type, id, target, body, at, refusal });
    this.answer = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    // Whoever asked has a promise of their own. After a reload nobody may be listening.
    this.answer.catch(() => {});
    if (refusal) this.reject(refusal);
  }

  get frame() {
    const { type, room, id, target, body } = this;
    return { type, room, id, target, body };
  }

  /** As it is written down; room and id are in its name. */
  get record() {
    const { type, target, body, at, refusal } = this;
    return { type, target, body, at, refusal: refusal && { code: refusal.code, message: refusal.message } };
  }

  /** The item that was written down; null if this is no record of ours. */
  static from(room, id, record) {
    const { type, target, body, at, refusal } = record;
    const named = typeof room === "string" && typeof id === "string" && typeof at === "string";
    const addressed = type === "publish" || Number.isSafeInteger(target);
    const filled = type === "remove" || (typeof body === "object" && body !== null);
    if (!named || !addressed || !filled || !["publish", "edit", "remove"].includes(type)) return null;
    return new Item({ room, type, id, target, body, at, refusal: refusal ? new Refusal(refusal) : null });
  }
}

// What of it outlives the page.

/**
 * What waits in all rooms, bounded, and written down under the key of whom it is by: one record an item.
 *
 * Never throws because of the storage, which may be missing, forbidden, full, or hold anything: what it does not take is
 * in memory alone, and `trouble` is told. What one person wrote is not left to the next: `own` wipes it.
 */
class Shelf {
  user = null; // the key of who writes; nothing is written down before that is known
  owner; // this page, where the storage is shared with others
  #url;
  #storage;
  #trouble;
  #troubled = false;
  #last = 0; // records are numbered in the order in which they were written down
  #waiting = new Set();
  #refused = new Set();

  constructor(url, { storage, owner, trouble }) {
    this.#url = url;
    this.#storage = storage;
    this.owner = owner;
    this.#trouble = trouble;
  }

  /** The page was rendered for `user`. Only the server's welcome makes sure of it. */
  suppose(user) {
    this.user = user;
    for (const { record } of this.#records()) this.#last = Math.max(this.#last, record.n);
  }

  /** The server says that we are `user`: whatever somebody else has written is wiped, in all tabs. */
  own(user) {
    const before = this.user;
    this.user = user;
    for (const { name, record } of this.#records({ all: true })) if (record.user !== user) this.#erase(name);
    if (before === null) for (const item of this.#waiting) this.#write(item);
  }

  /** Throws a `Refusal` where too much is waiting. `instead` was refused, and is now asked for again. */
  add(item, instead) {
    item.size = JSON.stringify(item.record).length;
    if (sum(this.#waiting) + item.size > CHARACTERS) throw new Refusal({ code: "outbox_full", reason: REASONS.outbox_full });
    this.#refused.delete(instead);
    this.#waiting.add(item);
    this.#write(item);
  }

  refuse(item) {
    this.#waiting.delete(item);
    this.#refused.add(item);
    this.#write(item);
    for (const oldest of this.#refused) {
      if (this.#refused.size <= REFUSED.items && sum(this.#refused) <= REFUSED.characters) break;
      this.drop(oldest);
    }
  }

  has(item) {
    return this.#waiting.has(item) || this.#refused.has(item);
  }

  drop(item) {
    this.release(item);
    this.#erase(this.#name(item));
  }

  /** Counts an item no more, but leaves it written down. */
  release(item) {
    this.#waiting.delete(item);
    this.#refused.delete(item);
  }

  /** What was written down for a room, as new items, in its order. */
  items(room) {
    const records = this.#records().filter((found) => found.room === room && found.record.user === this.user);
    return inOrder(records).map(({ item }) => item);
  }

  /** Counts an item that `items` gave. */
  remember(item) {
    item.size = JSON.stringify(item.record).length;
    (item.refusal ? this.#refused : this.#waiting).add(item);
  }

  /** The pages that have something in this storage, but for this one. */
  get others() {
    const owners = this.#names().map((name) => this.#parse(name)?.[1]);
    return new Set(owners.filter((owner) => typeof owner === "string" && owner !== this.owner));
  }

  /** Which page wrote what is stored under `name`; undefined if it is none of ours. */
  ownerOf(name) {
    return this.#parse(name)?.[1];
  }

  /** Takes over all that another page has left. */
  adopt(owner) {
    for (const { name, room, id, record } of inOrder(this.#records({ owner }))) {
      this.#erase(name);
      this.#set(this.#name({ room, id }), { ...record, n: ++this.#last });
    }
  }

  complain() {
    if (!this.#troubled) queueMicrotask(this.#trouble);
    this.#troubled = true;
  }

  #write(item) {
    if (this.user === null || !this.#storage) return;
    item.n ??= ++this.#last;
    this.#set(this.#name(item), { version: RECORD_VERSION, user: this.user, n: item.n, ...item.record });
  }

  #name({ room, id }) {
    return RECORD + JSON.stringify([this.#url, this.owner, room, id]);
  }

  /** The parts of a name of ours: url, owner, room, id. */
  #parse(name) {
    const parts = name?.startsWith(RECORD) ? json(name.slice(RECORD.length)) : null;
    return Array.isArray(parts) && parts[0] === this.#url ? parts : null;
  }

  /** This page's records, or those of another owner, or all; what cannot be read is of no use and goes. */
  #records({ owner = this.owner, all = false } = {}) {
    const found = [];
    for (const name of this.#names()) {
      const [, writtenBy, room, id] = this.#parse(name) ?? [];
      if (writtenBy === undefined || (!all && writtenBy !== owner)) continue;
      const record = json(this.#get(name));
      const ours = record?.version === RECORD_VERSION;
      const item = ours && Number.isSafeInteger(record.n) ? Item.from(room, id, record) : null;
      // The second are of another release of this file.
      if (item || (all && !ours && record?.version)) found.push({ name, room, id, record, item });
      else if (ours || !record?.version) this.#erase(name);
    }
    return found;
  }

  #names() {
    return this.#attempt(() => Array.from({ length: this.#storage.length }, (_, n) => this.#storage.key(n))) ?? [];
  }

  #get(name) {
    return this.#attempt(() => this.#storage.getItem(name));
  }

  #set(name, record) {
    this.#attempt(() => this.#storage.setItem(name, JSON.stringify(record)));
  }

  #erase(name) {
    this.#attempt(() => this.#storage.removeItem(name));
  }

  #attempt(action) {
    if (!this.#storage) return undefined;
    try {
      return action();
    } catch {
      return this.complain();
    }
  }
}

const RECORD = "django_rooms.outbox:";

/**
 * Which page has what in a storage that all tabs share. Each page holds a lock as long as it lives. Who is given the
 * lock of another knows that that page is gone, and takes over what it left: one of them, while it has that lock.
 */
class Heirs {
  #url;
  #shelf;
  #locks;
  #clock;
  #adopted;
  #watched = new Set();
  #life = new AbortController();

  constructor(url, shelf, { locks, session, clock, window, adopted }) {
    this.#url = url;
    this.#shelf = shelf;
    this.#locks = locks;
    this.#clock = clock;
    this.#adopted = adopted;
    const { signal } = this.#life;
    const me = shelf.owner;
    this.#hold(me, {}, () => new Promise((resolve) => signal.addEventListener("abort", resolve)));
    window?.addEventListener?.("storage", ({ key }) => this.#watch(shelf.ownerOf(key)), { signal });
    this.#begin(exchange(session, `django_rooms.page:${url}`, me));
  }

  close() {
    this.#life.abort();
  }

  /** A page that is loaded again comes before others. Its tab may be a copy of one that still lives: then it waits. */
  async #begin(before) {
    if (before) await this.#inherit(before);
    for (const owner of this.#shelf.others) this.#watch(owner);
  }

  async #watch(owner) {
    if (!owner || owner === this.#shelf.owner || this.#watched.has(owner)) return;
    this.#watched.add(owner);
    const gone = await this.#hold(owner, {}, () => true);
    if (gone) await new Promise((resolve) => this.#clock.setTimeout(resolve, GRACE_SECONDS * 1000));
    if (gone && !this.#life.signal.aborted) await this.#inherit(owner);
    this.#watched.delete(owner);
    if (gone && this.#shelf.others.has(owner)) this.#watch(owner);
  }

  #inherit(owner) {
    return this.#hold(owner, { ifAvailable: true }, (lock) => {
      if (!lock || this.#life.signal.aborted) return;
      this.#shelf.adopt(owner);
      this.#adopted();
    });
  }

  /** What `action` returns; undefined if there is no lock to be had, nor will be. */
  async #hold(owner, options, action) {
    try {
      // A request that is to be refused at once may not be given a signal.
      const signal = options.ifAvailable ? {} : { signal: this.#life.signal };
      return await this.#locks.request(`${RECORD}${this.#url}:${owner}`, { ...options, ...signal }, action);
    } catch {
      return undefined;
    }
  }
}

// The socket.

/** One socket at a time, and the next one when it is gone. Knows frames, but no rooms. */
class Connection {
  state = State.CLOSED;
  /** @type {Why} */
  why = { code: "closed", reason: REASONS.closed };
  limits = LIMITS;
  #url;
  #WebSocket;
  #clock;
  #random;
  #owner;
  #socket = null;
  #timer = null; // the one thing that will happen if nothing else does
  #failures = 0;
  #everLive = false;
  #liveSince = null;
  #farewell = null; // the server's `closing` frame
  #notBefore = 0; // the time at which the server lets us come back
  #ping = 25;
  #pong = 10;
  #pings = 0;
  #outgoing = [];

  constructor(url, { WebSocket, clock, random }, owner) {
    this.#url = url;
    this.#WebSocket = WebSocket;
    this.#clock = clock;
    this.#random = random;
    this.#owner = owner;
  }

  get backlog() {
    return this.#socket?.bufferedAmount ?? 0;
  }

  open() {
    if (this.state !== State.CLOSED && this.state !== State.REFUSED) return;
    this.#failures = 0;
    this.#connect();
  }

  close() {
    this.#flush();
    this.#detach();
    this.#enter(State.CLOSED, { code: "closed", reason: REASONS.closed });
  }

  /**
   * For the moment when the network is back: do not wait to try again, nor to find out that the socket is dead. Only what
   * the server has asked for stands: it spreads those whom it sends away over time.
   */
  hurry() {
    if (this.state === State.LIVE) this.#probe();
    else if (this.#clock.now() < this.#notBefore) return;
    else if (this.state !== State.CLOSED && this.state !== State.REFUSED) this.#connect();
  }

  /** What is sent in one go becomes one message. Whoever sends while there is no connection hears of its states. */
  send(frame) {
    if (this.#outgoing.push(frame) === 1) queueMicrotask(() => this.#flush());
  }

  #flush() {
    const frames = this.#outgoing.splice(0);
    if (this.state !== State.LIVE) return;
    for (const message of pack(frames, this.limits)) this.#socket.send(message);
  }

  /** The one place where a connection's state changes. */
  #enter(state, why) {
    this.state = state;
    this.why = why;
    this.#owner.state(state, why);
  }

  #connect() {
    this.#detach();
    let socket;
    try {
      socket = new this.#WebSocket(this.#url, [PROTOCOL]);
    } catch (error) {
      return this.#lost({ code: "unreachable", reason: `${REASONS.unreachable} (${error.message})` });
    }
    this.#socket = socket;
    const current = (handle) => (event) => socket === this.#socket && handle(event);
    socket.onmessage = current(({ data }) => this.#receive(data));
    socket.onclose = current((event) => this.#closed(event));
    this.#after(HANDSHAKE_SECONDS, () => this.#lost(this.#failure("")));
    if (this.#failures < PATIENCE) this.#enter(State.CONNECTING, { code: "connecting", reason: "" });
  }

  /** Closing may take as long as the network likes, so the socket is let go of first and closed beside. */
  #detach() {
    this.#clock.clearTimeout(this.#timer);
    this.#outgoing = [];
    this.#farewell = null;
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #receive(data) {
    let frames;
    try {
      frames = unpack(data);
    } catch {
      return this.#lost({ code: "bad_json", reason: REASONS.bad_json });
    }
    const socket = this.#socket;
    if (this.state === State.LIVE) this.#listen();
    for (const frame of frames) {
      if (socket !== this.#socket) return; // a frame before this one ended the connection
      this.#take(frame);
    }
  }

  #take(frame) {
    if (frame.type === "welcome") this.#welcomed(frame);
    else if (frame.type === "ping") this.send({ type: "pong", n: frame.n });
    else if (frame.type === "closing") this.#farewell = frame;
    else if (frame.type !== "pong") this.#owner.frame(frame);
  }

  #welcomed(frame) {
    if (frame.version !== VERSION) return this.#refuse({ code: "version", reason: REASONS.version });
    this.limits = { ...LIMITS, ...frame.limits };
    this.#ping = frame.ping ?? this.#ping;
    this.#pong = frame.pong ?? this.#pong;
    this.#everLive = true;
    this.#liveSince = this.#clock.now();
    this.#listen();
    const socket = this.#socket;
    this.#owner.welcome(frame);
    if (socket === this.#socket) this.#enter(State.LIVE, { code: "live", reason: "" });
  }

  /** A living server is never silent for longer than this, because it pings. */
  #listen() {
    this.#after(this.#ping + this.#pong, () => this.#probe());
  }

  #probe() {
    this.send({ type: "ping", n: ++this.#pings });
    this.#after(this.#pong, () => this.#lost({ code: "silent", reason: REASONS.silent }));
  }

  #closed(event) {
    const code = this.#farewell?.code ?? event.code;
    const reason = this.#farewell?.reason || event.reason;
    if (comesBack(code) && this.#farewell?.reconnect !== false) this.#lost(this.#failure(reason));
    else this.#refuse({ code: String(code), reason: reason || REASONS.refused });
  }

  #failure(reason) {
    if (this.#everLive) return { code: "lost", reason: reason || REASONS.lost };
    return { code: "unreachable", reason: reason || REASONS.unreachable };
  }

  #lost(why) {
    if (this.#lasted() >= STABLE_SECONDS) this.#failures = 0;
    // A server that gives no time to come back at, or zero, is not to be stormed all the same.
    const retryIn = this.#farewell?.after || backoff(this.#failures, this.#random);
    if (this.#farewell?.after) this.#notBefore = this.#clock.now() + retryIn * 1000;
    this.#failures += 1;
    this.#liveSince = null;
    this.#detach();
    this.#after(retryIn, () => this.#connect());
    this.#enter(State.OFFLINE, { ...why, retryIn });
  }

  #lasted() {
    return this.#liveSince === null ? 0 : (this.#clock.now() - this.#liveSince) / 1000;
  }

  #refuse(why) {
    this.#detach();
    this.#enter(State.REFUSED, why);
  }

  #after(seconds, action) {
    this.#clock.clearTimeout(this.#timer);
    this.#timer = this.#clock.setTimeout(action, seconds * 1000);
  }
}

/**
 * Takes from a run of entries what comes next: those already seen are dropped, and nothing behind a gap is taken.
 *
 * @param {Position} position
 * @param {{entries: Entry[], epoch?: string}} run
 * @returns {{position: Position, fresh: Entry[], gap: boolean}}
 */
export function follow(position, { entries, epoch = position.epoch }) {
  // An empty room has no epoch before its first entry names one. Any other change of epoch is another log.
  if (epoch !== position.epoch && position.offset > 0) return { position, fresh: [], gap: true };
  let { offset } = position;
  const fresh = [];
  for (const entry of entries) {
    if (entry.offset <= offset) continue;
    if (entry.offset > offset + 1) return { position: { epoch, offset }, fresh, gap: true };
    fresh.push(entry);
    offset = entry.offset;
  }
  return { position: { epoch, offset }, fresh, gap: false };
}

/**
 * Who is here after one more word of the server's: a whole state, what has changed since the one before, or how many they
 * are. `joined` and `left` are who really came and went: nobody, where names were not known before or are not now.
 *
 * @param {?Present} present
 * @param {{revision: number, count: number, members?: Member[], joined?: Member[], left?: string[]}} word
 * @returns {{present: Present, joined: Member[], left: Member[], gap: boolean}}
 */
export function attend(present, { revision, count, members, joined, left }) {
  const before = present?.members ?? null;
  const steps = revision - present?.revision;
  // What changed can only follow what it changed. It may have been in a state already.
  if (before && joined && steps !== 1) return { present, joined: [], left: [], gap: steps > 1 };
  const after = members ?? (before && joined ? amend(before, joined, left) : null);
  const changes = before && after ? { joined: without(after, before), left: without(before, after) } : { joined: [], left: [] };
  return { present: { revision, count, members: after }, ...changes, gap: false };
}

/** Who stays keeps their place, also under another name. */
function amend(members, joined, left) {
  const byKey = new Map(members.map((member) => [member.key, member]));
  for (const key of left) byKey.delete(key);
  for (const member of joined) byKey.set(member.key, member);
  return [...byKey.values()];
}

function without(members, others) {
  const keys = new Set(others.map(({ key }) => key));
  return members.filter(({ key }) => !keys.has(key));
}

/**
 * Frames as messages: one alone, or an array of as many as the server's limits allow.
 *
 * @param {Object[]} frames
 * @param {Limits} limits
 * @returns {string[]}
 */
export function pack(frames, limits) {
  const batches = [];
  let room = 0;
  for (const text of frames.map((frame) => JSON.stringify(frame))) {
    const size = byteLength(text) + 1; // and its comma, or the first one's bracket
    if (size > room || batches.at(-1).length === limits.batch) {
      batches.push([]);
      room = limits.frame - 1;
    }
    batches.at(-1).push(text);
    room -= size;
  }
  return batches.map((batch) => (batch.length === 1 ? batch[0] : `[${batch.join()}]`));
}

/** A message as its frames. Throws where it is not JSON; what is no frame is left out. */
export function unpack(data) {
  const frames = [JSON.parse(data)].flat();
  return frames.filter((frame) => typeof frame?.type === "string");
}

/** Seconds before the next try, with full jitter: a crowd that was cut at once does not come back at once. */
export function backoff(failures, random) {
  return random() * Math.min(BACKOFF.cap, BACKOFF.base * 2 ** failures);
}

/** Whether a close with this code invites us to come back. */
export function comesBack(code) {
  return !(code >= 4500 && code <= 4999);
}

/** A UUID, also on plain http, where browsers keep `crypto.randomUUID` to themselves. */
export function newId(crypto = globalThis.crypto) {
  if (crypto?.randomUUID) return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Older browsers want `ws:` spelled out. */
export function socketUrl(url, base = globalThis.location?.href) {
  const absolute = new URL(url, base);
  absolute.protocol = absolute.protocol.replace("http", "ws");
  return absolute.href;
}

/** Whether two values are the same JSON. */
function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function byteLength(text) {
  return new TextEncoder().encode(text).length;
}

function sum(items) {
  let size = 0;
  for (const item of items) size += item.size;
  return size;
}

/** Records of ours, as they were written down. */
function inOrder(records) {
  return records.sort((one, other) => one.record.n - other.record.n);
}

/** What a text says as JSON; null if it is none. */
function json(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** A browser's storage; null where there is none, or where even asking for it is refused. */
function browserStorage(name) {
  try {
    return globalThis[name] ?? null;
  } catch {
    return null;
  }
}

/** Stores a value and returns the one before, as far as the storage does either. */
function exchange(storage, name, value) {
  try {
    const before = storage.getItem(name);
    storage.setItem(name, value);
    return before;
  } catch {
    return null;
  }
}

/** @type {Clock} Looked up at each call: browsers refuse their timers without the window as `this`. */
const systemClock = {
  now: () => performance.now(),
  setTimeout: (action, milliseconds) => setTimeout(action, milliseconds),
  clearTimeout: (timer) => clearTimeout(timer),
};
