/**
 * Makes each <django-room> live: the server has rendered it with what was said so far, and this goes on from there.
 *
 * All that it shows is marked in the templates by `data-part`, and new entries are copies of the <template> that the
 * server renders from entry.html: a host that overrides the templates need not touch this file. A part that a host
 * leaves out is not shown. What people wrote becomes text and never markup.
 *
 * The client's address comes from the page, because static files storages may have put a hash into its name.
 */

const MOST_SHOWN = 500; // entries; beyond it the oldest go, while the reader is at the newest
const KEPT = 400;
const TOGETHER = 5 * 60 * 1000; // messages of one person within this time stand together under one name
const NEAR = 48; // pixels from the end that count as being at the end

/** One connection for all sections of a page: the client's module and its Rooms, by the socket's address. */
const connections = new Map();

function connection({ client, socket }) {
  if (!connections.has(socket)) {
    const loading = import(new URL(client, document.baseURI).href);
    connections.set(socket, loading.then((module) => ({ client: module, rooms: new module.Rooms(socket) })));
  }
  return connections.get(socket);
}

class RoomElement extends HTMLElement {
  #client;
  #rooms;
  #room;
  #listening;
  #pinned = true; // the reader is at the newest entry, and stays there
  #late = false; // the room has gone on since this section was rendered
  #held = []; // what came while it was late

  connectedCallback() {
    this.#listening = new AbortController();
    this.#listenToReader();
    this.#tellTimes(this.#entries);
    this.#scrollDown();
    this.#start();
  }

  disconnectedCallback() {
    this.#listening.abort();
    // An element that is only moved comes back at once, and another section may show the same room.
    queueMicrotask(() => this.#peers.length || this.#room?.leave());
  }

  /** Where the room goes on for this section. It is kept in the markup, which a host may store and bring back. */
  get position() {
    return { epoch: this.dataset.epoch, offset: Number(this.dataset.offset) };
  }

  set position({ epoch, offset }) {
    this.dataset.epoch = epoch;
    this.dataset.offset = offset;
  }

  async #start() {
    try {
      const { client, rooms } = await connection(this.dataset);
      if (!this.isConnected) return;
      this.#client = client;
      this.#rooms = rooms;
    } catch (error) {
      console.error(error);
      return this.#say("offline", { code: "broken", reason: String(error) });
    }
    this.#join();
  }

  #join() {
    const history = Number(this.dataset.history);
    this.#room = this.#rooms.join(this.dataset.room, { position: earliest(this.#peers), history });
    this.#late = this.#room.position !== null && this.#room.position.offset > this.position.offset;
    this.#listenToRoom();
    this.#show(this.#room.state, this.#room.why);
    this.#part("fields")?.removeAttribute("disabled");
    this.#part("older")?.removeAttribute("disabled");
  }

  #listenToRoom() {
    const { signal } = this.#listening;
    const on = (type, handle) => this.#room.addEventListener(type, ({ detail }) => handle(detail), { signal });
    on("state", ({ state, ...why }) => this.#show(state, why));
    on("entries", ({ entries }) => this.#append(entries));
    on("reset", (page) => this.#startOver(page));
    on("can", ({ publish }) => this.#allow(publish));
    this.#rooms.addEventListener("welcome", () => this.#introduce(this.#rooms.user), { signal });
    this.#introduce(this.#rooms.user);
  }

  #listenToReader() {
    const { signal } = this.#listening;
    const on = (part, type, handle) => this.#part(part)?.addEventListener(type, handle, { signal });
    on("compose", "submit", (event) => this.#submit(event));
    on("text-field", "keydown", (event) => this.#sendOnEnter(event));
    on("older", "click", () => this.#fetchOlder());
    on("newest", "click", () => this.#scrollDown());
    on("scroller", "scroll", () => this.#scrolled());
    on("entries", "click", (event) => this.#retry(event));
    const resized = new ResizeObserver(() => this.#pinned && this.#scrollDown());
    if (this.#part("scroller")) resized.observe(this.#part("scroller"));
    signal.addEventListener("abort", () => resized.disconnect());
  }

  // The connection, in words.

  #show(state, why) {
    this.#say(state, why);
    if (state === "refused") this.#allow(false);
    if (state === "live" && this.#late) this.#catchUp();
  }

  #say(state, { code, reason }) {
    const status = this.#part("status");
    if (!status) return;
    const words = this.#words(code) ?? (reason || this.#words(state) || state);
    status.dataset.state = state;
    if (status.textContent !== words) status.textContent = words;
  }

  /** What the templates have, in the reader's language, for one of the client's codes. */
  #words(code) {
    return this.getAttribute(`data-say-${code}`);
  }

  #allow(publish) {
    this.#toggle("compose", publish);
    this.#toggle("readonly", !publish);
  }

  #introduce(me) {
    if (!me) return;
    this.dataset.me = me.key;
    this.dataset.myName = me.name;
    fill(this, "me", me.name);
  }

  // Entries come in, in the room's order.

  #append(entries) {
    // A section that came late first has to read what was said before these.
    if (this.#late) return this.#held.push(...entries);
    for (const entry of entries) {
      // Another section of the same room may have been rendered earlier.
      if (entry.offset <= this.position.offset) continue;
      this.position = { ...this.#room.position, offset: entry.offset };
      this.#add(entry);
    }
    this.#settle();
  }

  #add(entry) {
    if (!hasText(entry)) return;
    const item = this.#take(entry) ?? this.#blank();
    this.#list.insertBefore(item, this.#unstored[0] ?? null);
    this.#fill(item, entry);
    if (!this.#pinned) this.#toggle("newer", true);
  }

  /** The newest page instead of all that was before; what is still on its way stays. */
  #replace({ entries, more, position }) {
    const waiting = this.#unstored;
    this.#list.replaceChildren(...waiting);
    this.position = position;
    for (const entry of entries) this.#add(entry);
    this.dataset.oldest = entries[0]?.offset ?? position.offset + 1;
    this.#allowOlder(more);
    for (const item of waiting) this.#dropIfPassed(item);
    this.#settle();
  }

  #startOver(page) {
    this.#late = false;
    this.#replace(page);
    this.#append(this.#held.splice(0));
  }

  async #catchUp() {
    const position = this.#room.position;
    try {
      const page = await this.#room.history(position.offset + 1, Number(this.dataset.history));
      if (this.#late) this.#startOver({ ...page, position });
    } catch {
      // The connection ended meanwhile. It comes back, and so does this.
    }
  }

  async #fetchOlder() {
    const button = this.#part("older");
    button.disabled = true;
    try {
      const before = Number(this.dataset.oldest);
      const { entries, more } = await this.#room.history(before, Number(this.dataset.history));
      this.#prepend(entries);
      this.#allowOlder(more && entries.length > 0);
    } catch (refusal) {
      this.#say(this.#room.state, { code: refusal.code, reason: refusal.message });
    } finally {
      button.disabled = false;
    }
  }

  #prepend(entries) {
    const scroller = this.#part("scroller");
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    scroller.setAttribute("aria-busy", "true"); // these are not news to be read out
    const first = this.#list.firstElementChild;
    for (const entry of entries.filter(hasText)) {
      const item = this.#blank();
      this.#list.insertBefore(item, first);
      this.#fill(item, entry);
    }
    if (first) this.#group(first);
    if (entries.length) this.dataset.oldest = entries[0].offset;
    this.#toggle("empty", !this.#list.firstElementChild);
    scroller.removeAttribute("aria-busy");
    scroller.scrollTop = scroller.scrollHeight - fromEnd;
  }

  #allowOlder(more) {
    this.toggleAttribute("data-more", more);
    this.#toggle("more", more);
  }

  #settle() {
    this.#toggle("empty", !this.#list.firstElementChild);
    if (!this.#pinned) return;
    this.#trim();
    this.#scrollDown();
  }

  #trim() {
    const entries = this.#entries;
    if (entries.length <= MOST_SHOWN) return;
    for (const item of entries.splice(0, entries.length - KEPT)) item.remove();
    this.dataset.oldest = entries[0].dataset.offset;
    this.#group(entries[0]);
    this.#allowOlder(true);
  }

  // What the reader writes. It is shown at once; its entry then takes the same element.

  #sendOnEnter(event) {
    // While an input method composes a character, Enter belongs to that.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    event.target.form.requestSubmit();
  }

  #submit(event) {
    event.preventDefault();
    const field = this.#part("text-field");
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    this.#pinned = true;
    this.#publish(this.#draft(text));
  }

  #draft(text) {
    const item = this.#blank();
    const author = { key: this.dataset.me, name: this.dataset.myName };
    this.#list.append(item);
    this.#fill(item, { id: this.#client.newId(), author, at: new Date().toISOString(), body: { text } });
    return item;
  }

  async #publish(item) {
    this.#mark(item, "pending");
    this.#settle();
    try {
      const { offset } = await this.#room.publish({ text: part(item, "text").textContent }, { id: item.dataset.id });
      item.dataset.stored = offset;
      this.#dropIfPassed(item);
    } catch (refusal) {
      if (item.dataset.offset) return; // only the answer was lost: the entry itself is here
      this.#mark(item, "failed", this.#words(refusal.code) ?? refusal.message);
      this.#settle();
    }
  }

  #retry({ target }) {
    const item = target.closest('[data-part="retry"]') && target.closest("[data-id]");
    if (item) this.#publish(item);
  }

  #mark(item, state, failure = "") {
    item.dataset.state = state;
    toggle(item, "pending", state === "pending");
    toggle(item, "failure", state === "failed");
    toggle(item, "retry", state === "failed");
    fill(item, "failure", failure);
  }

  /** What was sent, if this is its entry. An id alone proves nothing: another person may have taken the same. */
  #take(entry) {
    if (entry.author?.key !== this.dataset.me) return undefined;
    return this.#unstored.find((item) => item.dataset.id === entry.id);
  }

  /** A page that starts over may begin after an entry of ours: then its place is among the older ones. */
  #dropIfPassed(item) {
    const unseen = item.dataset.state && item.dataset.stored;
    if (unseen && Number(item.dataset.stored) <= this.position.offset) item.remove();
  }

  // Elements.

  get #list() {
    return this.#part("entries");
  }

  get #entries() {
    return [...this.#list.querySelectorAll(":scope > [data-offset]")];
  }

  get #unstored() {
    return [...this.#list.querySelectorAll(":scope > [data-state]")];
  }

  /** All sections on the page that show this room by the same socket. */
  get #peers() {
    const { room, socket } = this.dataset;
    const all = [...document.querySelectorAll("django-room")];
    return all.filter(({ dataset }) => dataset.room === room && dataset.socket === socket);
  }

  #blank() {
    return this.#part("blank").content.firstElementChild.cloneNode(true);
  }

  #fill(item, { offset, id, author, at, body }) {
    if (offset) item.dataset.offset = offset;
    delete item.dataset.state;
    delete item.dataset.stored;
    item.dataset.id = id;
    item.dataset.author = author?.key ?? "";
    item.toggleAttribute("data-own", author?.key === this.dataset.me);
    fill(item, "author", author?.name ?? "");
    toggle(item, "guest", author?.key.startsWith("g") ?? false); // the server gives such keys to guests alone
    fill(item, "text", body.text);
    part(item, "time")?.setAttribute("datetime", at);
    this.#tellTimes([item]);
    this.#group(item);
    if (item.nextElementSibling) this.#group(item.nextElementSibling);
    for (const name of ["pending", "failure", "retry"]) toggle(item, name, false);
  }

  #group(item) {
    const before = item.previousElementSibling;
    const together = before?.dataset.author === item.dataset.author && time(item) - time(before) < TOGETHER;
    item.toggleAttribute("data-follows", together);
  }

  /** In the reader's time zone, which the server does not know. */
  #tellTimes(items) {
    for (const item of items) fill(item, "time", tell(new Date(time(item))));
  }

  #scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.#part("scroller");
    this.#pinned = scrollHeight - scrollTop - clientHeight < NEAR;
    if (this.#pinned) this.#toggle("newer", false);
  }

  #scrollDown() {
    const scroller = this.#part("scroller");
    if (scroller) scroller.scrollTop = scroller.scrollHeight;
    this.#pinned = true;
    this.#toggle("newer", false);
  }

  #part(name) {
    return part(this, name);
  }

  #toggle(name, shown) {
    toggle(this, name, shown);
  }
}

/** The earliest position: what a section has already is dropped there. None if the room began anew between two. */
function earliest(sections) {
  const positions = sections.map(({ position }) => position);
  if (new Set(positions.map(({ epoch }) => epoch)).size > 1) return null;
  return positions.reduce((one, other) => (other.offset < one.offset ? other : one));
}

function hasText({ kind, body }) {
  return kind === "message" && typeof body?.text === "string";
}

function time(item) {
  return Date.parse(part(item, "time")?.dateTime);
}

function tell(date) {
  if (Number.isNaN(date.getTime())) return "";
  const today = date.toDateString() === new Date().toDateString();
  return date.toLocaleString(language(), today ? { timeStyle: "short" } : { dateStyle: "medium", timeStyle: "short" });
}

/** The page's language; the browser's where the page names one that does not exist. */
function language() {
  try {
    return Intl.getCanonicalLocales(document.documentElement.lang)[0];
  } catch {
    return undefined;
  }
}

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}

function fill(root, name, text) {
  const element = part(root, name);
  if (element) element.textContent = text;
}

function toggle(root, name, shown) {
  const element = part(root, name);
  if (element) element.hidden = !shown;
}

customElements.define("django-room", RoomElement);
