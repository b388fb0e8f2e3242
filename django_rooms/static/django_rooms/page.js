/**
 * Makes each <django-room> live: the server has rendered it with what was said so far and who is here, and this goes on
 * from there.
 *
 * All that it shows is marked in the templates by `data-part`, and new entries and people are copies of the <template>s
 * that the server renders from entry.html and member.html: a host that overrides the templates need not touch this
 * file. A part that a host leaves out is not shown. What people wrote, and their names, become text and never markup.
 *
 * The client's address comes from the page, because static files storages may have put a hash into its name.
 */

const MOST_SHOWN = 500; // entries; beyond it the oldest go, while the reader is at the newest
const KEPT = 400;
const TOGETHER = 5 * 60 * 1000; // messages of one person within this time stand together under one name
const NEAR = 48; // pixels from the end that count as being at the end
const CHANGES = new Set(["edit", "removal", "erasure"]);
const GATHERED = 5000; // milliseconds in which people come and go before it is told to those who hear the page
const MOST_NAMED = 3; // of them, by name
// Numbers of which each language that Django knows has one of each of its forms. The templates have the words for these.
const SAMPLES = [0, 1, 2, 3, 6, 8, 11, 100];

let texts = 0; // that have an id, by which their menus are described

/** One connection for all sections of a page: the client's module and its Rooms, by the socket's address. */
const connections = new Map();

function connection({ client, socket, me: user, keep }) {
  if (!connections.has(socket)) {
    const loading = import(new URL(client, document.baseURI).href);
    const opening = loading.then((module) => ({ client: module, rooms: new module.Rooms(socket, { user, keep }) }));
    connections.set(socket, opening);
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
  #passed = null; // changes that came while older messages are being fetched, which may not have them yet
  #said = new WeakMap(); // the text of each entry, which is not what is shown while the reader's change is on its way
  #changes = new Map(); // the reader's own last change that is not stored yet, by the offset of its message
  #typing; // who else is
  #news = new News((changes) => this.#tellNews(changes));
  #erased = new Set(); // keys of people whose name is not told any more

  connectedCallback() {
    this.#listening = new AbortController();
    this.#listenToReader();
    this.#tellTimes(this.#entries);
    this.#scrollDown();
    this.#start();
  }

  disconnectedCallback() {
    this.#listening.abort();
    this.#news.forget();
    // An element that is only moved comes back at once, and another section may show the same room.
    queueMicrotask(() => this.#leave());
  }

  /** What was written here is still sent. */
  async #leave() {
    await Promise.allSettled(this.#room?.outbox.map(({ answer }) => answer) ?? []);
    if (!this.#peers.length) this.#room?.leave();
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
    const { signal } = this.#listening;
    try {
      const { client, rooms } = await connection(this.dataset);
      if (signal.aborted) return; // it was taken away meanwhile, or moved, and then it has started again
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
    this.#listenToPeople();
    this.#show(this.#room.state, this.#room.why);
    this.#part("fields")?.removeAttribute("disabled");
    for (const item of this.#entries) {
      if (!this.#said.has(item)) this.#said.set(item, part(item, "text")?.textContent ?? "");
      this.#offer(item);
    }
    this.#bringBack(this.#room.outbox);
    this.#scrollDown();
  }

  #listenToRoom() {
    const { signal } = this.#listening;
    const on = (type, handle) => this.#room.addEventListener(type, ({ detail }) => handle(detail), { signal });
    on("state", ({ state, ...why }) => this.#show(state, why));
    on("joined", ({ present }) => present ?? this.#hidePresent());
    on("entries", ({ entries }) => this.#append(entries));
    on("reset", (page) => this.#startOver(page));
    on("can", ({ publish }) => this.#allow(publish));
    on("restored", ({ waiting }) => this.#bringBack(waiting));
    this.#rooms.addEventListener("welcome", () => this.#introduce(this.#rooms.user), { signal });
    this.#introduce(this.#rooms.user);
  }

  #listenToPeople() {
    const { signal } = this.#listening;
    this.#room.addEventListener("presence", ({ detail }) => this.#attend(detail), { signal });
    this.#typing = this.#room.passing("typing", { every: 3, untilMessage: true });
    this.#typing.addEventListener("change", () => this.#showTyping(), { signal });
    if (this.#room.present) this.#attend({ ...this.#room.present, joined: [], left: [] });
    this.#showTyping();
  }

  #listenToReader() {
    const { signal } = this.#listening;
    const on = (part, type, handle) => this.#part(part)?.addEventListener(type, handle, { signal });
    on("compose", "submit", (event) => this.#submit(event));
    on("text-field", "keydown", (event) => this.#sendOnEnter(event));
    on("text-field", "input", ({ target }) => this.#shareTyping(target.value));
    on("unfold", "click", () => this.#unfold());
    on("older", "click", () => this.#fetchOlder());
    on("newest", "click", () => this.#scrollDown());
    on("scroller", "scroll", () => this.#scrolled());
    on("entries", "click", (event) => this.#act(event));
    on("entries", "submit", (event) => this.#save(event));
    on("entries", "keydown", (event) => this.#key(event));
    this.addEventListener("click", ({ target }) => this.#closeMenus(target), { signal });
    // It does not bubble.
    this.addEventListener("toggle", ({ target }) => this.#toggled(target), { signal, capture: true });
    this.#onResize("scroller", () => this.#pinned && this.#scrollDown());
    this.#onResize("names", () => this.#offerUnfolding());
  }

  #onResize(name, handle) {
    const resized = new ResizeObserver(handle);
    if (this.#part(name)) resized.observe(this.#part(name));
    this.#listening.signal.addEventListener("abort", () => resized.disconnect());
  }

  // The connection, in words.

  #show(state, why) {
    this.#say(state, why);
    this.#offerOlder();
    if (state === "refused") this.#allow(false);
    if (state === "refused" || state === "closed") this.#hidePresent();
    if (state === "offline") this.#markStale(true);
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
    this.toggleAttribute("data-readonly", !publish);
    this.#toggle("compose", publish);
    this.#toggle("readonly", !publish);
  }

  #introduce(me) {
    if (!me) return;
    const before = this.dataset.me;
    this.dataset.me = me.key;
    this.dataset.myName = me.name;
    fill(this, "me", me.name);
    if (before !== me.key) this.#disown();
  }

  /** The reader is somebody else now, who must not read what the one before has not sent, nor send it. */
  #disown() {
    this.#changes.clear();
    for (const item of this.#unstored.filter(({ dataset }) => dataset.author !== this.dataset.me)) {
      fill(item, "text", "");
      this.#mark(item, "failed", this.#words("person_changed"));
    }
    for (const item of this.#entries) {
      this.#closeEditor(item);
      item.toggleAttribute("data-own", item.dataset.author === this.dataset.me);
      this.#showChange(item);
    }
  }

  // Who is here.

  #attend({ count, joined, left }) {
    if (count !== null) this.#showPresent();
    else this.#hidePresent();
    const others = (members) => members.filter(({ key }) => key !== this.dataset.me && !this.#erased.has(key));
    // Of several sections of one room, one tells it.
    if (this.#peers[0] === this) this.#news.gather(others(joined), others(left));
  }

  #showPresent() {
    const { count, members } = this.#room.present;
    this.#markStale(false);
    fill(this, "count", this.#hereInWords(count));
    this.#toggle("number", true);
    this.#toggle("members", members !== null);
    this.#listMembers(members ?? []);
    this.#offerUnfolding();
  }

  /** Who is sent away is not told any more. */
  #hidePresent() {
    this.#markStale(false);
    this.#toggle("number", false);
    this.#toggle("members", false);
    this.#news.forget();
  }

  /** What was known when the connection was lost is better than nothing, and must not look as if it were so now. */
  #markStale(stale) {
    this.toggleAttribute("data-stale", stale);
    this.#toggle("stale", stale);
  }

  #hereInWords(count) {
    const words = this.#words(`here-${alike(count)}`) ?? "{count}";
    return words.replace("{count}", count.toLocaleString(language()));
  }

  /** The reader first, and the others by their names. Who stays keeps their element. */
  #listMembers(members) {
    const list = this.#part("names");
    const blank = this.#part("member")?.content.firstElementChild;
    if (!list || !blank) return;
    const { compare } = new Intl.Collator(language());
    const isReader = ({ key }) => key === this.dataset.me;
    const sorted = members.toSorted((one, other) => isReader(other) - isReader(one) || compare(one.name, other.name));
    const known = new Map([...list.children].map((item) => [item.dataset.key, item]));
    const items = sorted.map((member) => this.#fillMember(known.get(member.key) ?? blank.cloneNode(true), member));
    // Moved only where it has to be: what has the focus would lose it.
    for (const gone of [...list.children].filter((item) => !items.includes(item))) gone.remove();
    items.forEach((item, at) => item === list.children[at] || list.insertBefore(item, list.children[at] ?? null));
  }

  #fillMember(item, { key, name, info }) {
    item.dataset.key = key;
    fill(item, "name", name);
    const reader = key === this.dataset.me;
    toggle(item, "you", reader);
    toggle(item, "guest", key.startsWith("g") && !reader);
    for (const place of item.querySelectorAll("[data-info]")) place.textContent = info?.[place.dataset.info] ?? "";
    return item;
  }

  #unfold() {
    const button = this.#part("unfold");
    const unfolded = this.#part("members").toggleAttribute("data-unfolded");
    button.setAttribute("aria-expanded", unfolded);
    this.#offerUnfolding();
  }

  /** The names take one line, and as many as they need when the reader asks for that. */
  #offerUnfolding() {
    const names = this.#part("names");
    if (!names) return;
    const unfolded = this.#part("members")?.hasAttribute("data-unfolded");
    this.#toggle("unfold", unfolded || names.scrollWidth > names.clientWidth);
  }

  /** For those who hear the page. Typing is not told: it would speak into all that they do. */
  #tellNews(changes) {
    const sentences = changes.length > MOST_NAMED ? this.#newsOfMany() : changes.map((change) => this.#newsOf(change));
    this.#part("news")?.replaceChildren(...sentences.flatMap((sentence) => [...sentence, " "]));
  }

  #newsOf({ member: { name }, here }) {
    return put(this.#words(here ? "came" : "went"), { name });
  }

  #newsOfMany() {
    return [put(this.#words("came-and-went")), put(this.#part("count")?.textContent)];
  }

  // Who is typing.

  #shareTyping(text) {
    if (text.trim()) this.#typing?.share();
    else this.#typing?.clear();
  }

  #showTyping() {
    const [name, other, more] = [...this.#typing.states.values()].map(({ author }) => author.name);
    const words = this.#words(more ? "typing-several" : other ? "typing-two" : "typing");
    this.#part("typing")?.replaceChildren(...(name === undefined ? [] : put(words, { name, other })));
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
    if (CHANGES.has(entry.kind)) return this.#change(entry);
    if (!isShown(entry)) return;
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
    } catch ({ retryAfter }) {
      // Where the connection ended it comes back, and so does this.
      if (retryAfter !== null) setTimeout(() => this.isConnected && this.#show(this.#room.state, this.#room.why), 1000 * retryAfter);
    }
  }

  async #fetchOlder() {
    this.#passed = [];
    this.#offerOlder();
    try {
      const before = Number(this.dataset.oldest);
      const { entries, more } = await this.#room.history(before, Number(this.dataset.history));
      this.#prepend(entries);
      this.#allowOlder(more && entries.length > 0);
      for (const entry of this.#passed.splice(0)) this.#change(entry);
    } catch (refusal) {
      this.#say(this.#room.state, { code: refusal.code, reason: refusal.message });
    } finally {
      this.#passed = null;
      this.#offerOlder();
    }
  }

  /** Only the server has them, and it is asked once at a time. */
  #offerOlder() {
    const button = this.#part("older");
    if (button) button.disabled = this.#passed !== null || this.#room.state !== "live";
  }

  #prepend(entries) {
    const scroller = this.#part("scroller");
    const fromEnd = scroller.scrollHeight - scroller.scrollTop;
    scroller.setAttribute("aria-busy", "true"); // these are not news to be read out
    const first = this.#list.firstElementChild;
    for (const entry of entries.filter(isShown)) {
      this.#take(entry)?.remove();
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

  // Changes to what was said. The newest counts, in whichever order they and the message come.

  #change(entry) {
    this.#passed?.push(entry);
    if (entry.kind === "erasure") return this.#erase(entry);
    const item = this.#at(entry.target);
    if (item && entry.offset > Number(item.dataset.changed)) this.#rewrite(item, entry.body, entry.offset);
  }

  #rewrite(item, body, changed) {
    item.dataset.changed = changed;
    this.#write(item, body, true);
  }

  /** All that somebody said until then, and their name. */
  #erase({ offset, author }) {
    for (const item of this.#entries) {
      if (item.dataset.author !== author.key || Number(item.dataset.offset) > offset) continue;
      fill(item, "author", author.name);
      this.#rewrite(item, null, Math.max(offset, item.dataset.changed));
    }
    this.#erased.add(author.key);
    this.#news.forget();
    fill(this, "news", "");
  }

  #at(offset) {
    return this.#list.querySelector(`:scope > [data-offset="${Number(offset)}"]`);
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
    this.#typing.clear();
    this.#pinned = true;
    this.#publish(this.#draft(text));
  }

  #draft(text, id = this.#client.newId(), at = new Date().toISOString()) {
    const item = this.#blank();
    const author = { key: this.dataset.me, name: this.dataset.myName };
    this.#list.append(item);
    this.#fill(item, { id, author, at, body: { text } });
    return item;
  }

  #publish(item) {
    this.#followUp(item, this.#room.publish({ text: part(item, "text").textContent }, { id: item.dataset.id }));
  }

  async #followUp(item, answer) {
    this.#mark(item, "pending");
    this.#settle();
    try {
      const { offset } = await answer;
      item.dataset.stored = offset;
      this.#dropIfPassed(item);
    } catch (refusal) {
      if (item.dataset.offset) return; // only the answer was lost: the entry itself is here
      this.#mark(item, "failed", this.#words(refusal.code) ?? refusal.message);
      this.#settle();
    }
  }

  /** What waits since before a reload, or since another tab was closed. Some of it may be stored already. */
  #bringBack(waiting) {
    this.#introduce(this.#rooms.user);
    for (const { type, id, target, body, at, refusal, answer } of waiting) {
      if (type !== "publish") {
        if (!refusal || !this.#changes.has(target)) this.#followChange({ id, type, target, text: body?.text }, answer);
      } else if (typeof body.text === "string" && !this.#mine(id)) {
        this.#followUp(this.#draft(body.text, id, at), answer);
      }
    }
  }

  #mine(id) {
    return [...this.#list.children].some(({ dataset }) => dataset.id === id && dataset.author === this.dataset.me);
  }

  #mark(item, state, failure = "") {
    item.dataset.state = state;
    showFate(item, state, failure);
    if (item.dataset.author !== this.dataset.me) toggle(item, "retry", false);
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

  // What the reader does with an entry of their own.

  #act({ target, detail: clicks }) {
    const button = target.closest("button");
    const item = button?.closest("[data-id]");
    if (!item) return;
    const action = {
      edit: () => this.#edit(item),
      cancel: () => this.#closeEditor(item),
      remove: () => this.#remove(item, button, clicks),
      retry: () => this.#retry(item),
      discard: () => this.#discard(item),
    }[button.dataset.part];
    action?.();
  }

  #retry(item) {
    const change = this.#changes.get(Number(item.dataset.offset));
    if (item.dataset.state) this.#publish(item);
    else if (change) this.#sendChange(change);
  }

  #discard(item) {
    this.#room.discard(item.dataset.id);
    if (item.dataset.state) item.remove();
    else this.#forgetChange(Number(item.dataset.offset));
    this.#toggle("empty", !this.#list.firstElementChild);
    this.#part("scroller").focus({ preventScroll: true });
  }

  #edit(item) {
    part(item, "acts").open = false;
    if (part(item, "edit-form")) return;
    const form = this.#part("editor").content.firstElementChild.cloneNode(true);
    const field = part(form, "edit-field");
    field.value = part(item, "text").textContent;
    item.toggleAttribute("data-editing", true);
    part(item, "said").after(form);
    field.focus();
    field.setSelectionRange(field.value.length, field.value.length);
    form.scrollIntoView({ block: "nearest" });
    this.#scrolled();
  }

  #closeEditor(item) {
    const form = part(item, "edit-form");
    const focused = form?.contains(document.activeElement);
    form?.remove();
    item.removeAttribute("data-editing");
    if (focused) (part(item, "acts")?.hidden ? this.#part("scroller") : part(item, "menu"))?.focus({ preventScroll: true });
  }

  #save(event) {
    event.preventDefault();
    const item = event.target.closest("[data-id]");
    const text = part(item, "edit-field").value.trim();
    if (!text) return;
    const before = part(item, "text").textContent;
    this.#closeEditor(item);
    if (text !== before) this.#startChange(item, { type: "edit", text });
  }

  #key(event) {
    const item = event.target.closest("[data-id]");
    if (event.key === "Escape" && item) {
      const menu = part(item, "acts");
      if (menu?.open) part(item, "menu").focus();
      if (menu) menu.open = false;
      this.#closeEditor(item);
    } else if (event.target.dataset.part === "edit-field") this.#sendOnEnter(event);
  }

  /** The first press asks, the second does it. Two clicks in one are no answer. */
  #remove(item, button, clicks) {
    if (!button.hasAttribute("data-asked")) {
      button.dataset.words = button.textContent;
      button.textContent = button.dataset.again;
      button.toggleAttribute("data-asked", true);
      button.scrollIntoView({ block: "nearest" }); // its line may be another now
    } else if (clicks < 2) {
      part(item, "acts").open = false;
      this.#startChange(item, { type: "remove" });
      this.#part("scroller").focus({ preventScroll: true });
    }
  }

  /** A menu that was closed asks anew when it is opened again. */
  #toggled(menu) {
    if (menu.open) menu.scrollIntoView({ block: "nearest" });
    for (const button of menu.querySelectorAll("[data-asked]")) {
      button.textContent = button.dataset.words;
      button.removeAttribute("data-asked");
    }
  }

  #closeMenus(target) {
    for (const menu of this.querySelectorAll('[data-part="acts"][open]')) if (!menu.contains(target)) menu.open = false;
  }

  // Their changes on the way. They are shown at once, and taken back if they are refused and discarded.

  #startChange(item, change) {
    this.#sendChange({ ...change, id: this.#client.newId(), target: Number(item.dataset.offset) });
  }

  #sendChange(change) {
    const { id, type, target, text } = change;
    const answer = type === "edit" ? this.#room.edit(target, { text }, { id }) : this.#room.remove(target, { id });
    this.#followChange(change, answer);
  }

  async #followChange(change, answer) {
    const { target } = change;
    if (this.#changes.has(target)) this.#room.discard(this.#changes.get(target).id);
    change.state = "pending";
    this.#changes.set(target, change);
    this.#showChange(this.#at(target));
    this.#settle();
    try {
      const { offset } = await answer;
      this.#stored(change, offset);
    } catch (refusal) {
      change.state = "failed";
      change.failure = this.#words(`change-${refusal.code}`) ?? this.#words(refusal.code) ?? refusal.message;
      // Another came after it, or the message is gone.
      if (this.#changes.get(target) !== change) return void this.#room.discard(change.id);
      this.#showChange(this.#at(target));
      this.#settle();
    }
  }

  #stored({ id, type, target, text }, offset) {
    if (this.#changes.get(target)?.id === id) this.#changes.delete(target);
    const item = this.#at(target);
    if (!item) return;
    if (offset > Number(item.dataset.changed)) this.#rewrite(item, type === "edit" ? { text } : null, offset);
    else this.#showChange(item);
  }

  #forgetChange(target) {
    const change = this.#changes.get(target);
    if (!change) return;
    this.#changes.delete(target);
    this.#room.discard(change.id);
    this.#showChange(this.#at(target));
  }

  /** What is to be seen of a message and of the reader's change to it. */
  #showChange(item) {
    if (!item) return;
    const change = this.#changes.get(Number(item.dataset.offset));
    item.toggleAttribute("data-change", Boolean(change));
    if (change) item.dataset.change = change.state;
    showFate(item, change?.state, change?.failure ?? "");
    const text = change?.text ?? this.#said.get(item);
    if (part(item, "text")?.textContent !== text) fill(item, "text", text);
    this.#offer(item);
  }

  /** The means to change a message, where there may be any. */
  #offer(item) {
    const menu = part(item, "acts");
    if (!menu) return;
    const change = this.#changes.get(Number(item.dataset.offset));
    const own = item.dataset.author === this.dataset.me && item.dataset.offset !== undefined;
    menu.hidden = !own || item.hasAttribute("data-removed") || change?.type === "remove";
    if (menu.hidden) menu.open = false;
    if (!this.#part("editor")) toggle(item, "edit", false);
    const text = part(item, "text");
    text.id ||= `${this.id}-text-${(texts += 1)}`;
    part(item, "menu")?.setAttribute("aria-describedby", text.id);
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

  #fill(item, { offset, id, author, at, body, changed = offset }) {
    if (offset) Object.assign(item.dataset, { offset, changed });
    delete item.dataset.state;
    delete item.dataset.stored;
    item.dataset.id = id;
    item.dataset.author = author?.key ?? "";
    item.toggleAttribute("data-own", author?.key === this.dataset.me);
    fill(item, "author", author?.name ?? "");
    toggle(item, "guest", author?.key.startsWith("g") ?? false); // the server gives such keys to guests alone
    part(item, "time")?.setAttribute("datetime", at);
    this.#tellTimes([item]);
    this.#group(item);
    if (item.nextElementSibling) this.#group(item.nextElementSibling);
    this.#write(item, body, changed !== offset);
  }

  /** The body as it is today: none, if it was removed. */
  #write(item, body, edited) {
    const removed = body === null;
    if (removed) {
      this.#closeEditor(item);
      this.#forgetChange(Number(item.dataset.offset));
    }
    item.toggleAttribute("data-removed", removed);
    toggle(item, "text", !removed);
    toggle(item, "removed", removed);
    toggle(item, "edited", edited && !removed);
    // The page knows of texts alone: an edit of its would take away what else a body has.
    toggle(item, "edit", !removed && Object.keys(body).length === 1);
    this.#said.set(item, removed ? "" : String(body.text ?? ""));
    this.#showChange(item);
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

/** Who came and went, gathered: where many do, a voice that tells each of them would never be silent. */
class News {
  #changes = new Map(); // by the key of the person
  #timer = null;
  #tell;

  constructor(tell) {
    this.#tell = tell;
  }

  gather(joined, left) {
    for (const member of joined) this.#note(member, true);
    for (const member of left) this.#note(member, false);
    if (this.#changes.size) this.#timer ??= setTimeout(() => this.#end(), GATHERED);
  }

  forget() {
    clearTimeout(this.#timer);
    this.#timer = null;
    this.#changes.clear();
  }

  /** Who has come and is gone again is no news. */
  #note(member, here) {
    if (!this.#changes.delete(member.key)) this.#changes.set(member.key, { member, here });
  }

  #end() {
    const changes = [...this.#changes.values()];
    this.forget();
    if (changes.length) this.#tell(changes);
  }
}

/** The earliest position: what a section has already is dropped there. None if the room began anew between two. */
function earliest(sections) {
  const positions = sections.map(({ position }) => position);
  if (new Set(positions.map(({ epoch }) => epoch)).size > 1) return null;
  return positions.reduce((one, other) => (other.offset < one.offset ? other : one));
}

/** Bodies are the host's: one without a text has nothing that could be shown. Removed ones have none. */
function isShown({ kind, body }) {
  return kind === "message" && (body === null || typeof body?.text === "string");
}

function showFate(item, state, failure) {
  toggle(item, "pending", state === "pending");
  for (const name of ["failure", "retry", "discard"]) toggle(item, name, state === "failed");
  fill(item, "failure", failure);
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

/** The sample that has the same form as `count` in the page's language. */
function alike(count) {
  const rules = new Intl.PluralRules(language());
  if (SAMPLES.includes(count)) return count;
  return SAMPLES.findLast((sample) => rules.select(sample) === rules.select(count));
}

/** The template's words with names in their places, as nodes: names of another direction turn themselves alone. */
function put(words, names = {}) {
  return (words ?? "").split(/\{(\w+)\}/).map((piece, index) => (index % 2 ? isolated(names[piece]) : piece));
}

function isolated(name) {
  const element = document.createElement("bdi");
  element.textContent = name ?? "";
  return element;
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
