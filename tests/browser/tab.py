"""What somebody sees and does in a tab."""

import json
from urllib.parse import quote

from messages import frames_of

# In each page, before its own scripts: sockets that a test can cut, and have none of, also over reloads.
CUTTER = """
    const sockets = new Set();
    const Real = WebSocket;
    window.WebSocket = class extends Real {
        constructor(url, protocols) {
            if (window.name === "unplugged") throw new Error("Unplugged.");
            super(url, protocols);
            sockets.add(this);
        }
    };
    window.cut = () => sockets.forEach((socket) => socket.close());
"""


# What is waited for in JavaScript, the same as a string, and the milliseconds that it may take.
UNTIL = """
    new Promise((resolve, reject) => {
        const look = () => (%s) ? resolve() : setTimeout(look, 10);
        setTimeout(() => reject(new Error("Never: " + %s)), %s);
        look();
    })
"""
PATIENCE = 15_000

# Milliseconds until a page is back that has lost its server: it waits for half a minute at most between two tries.
COMES_BACK = 45_000


def send_each(socket, frames):
    """Pass them on, one a message."""
    for frame in frames:
        socket.send(json.dumps(frame))


class Tab:
    def __init__(self, context):
        self.context = context
        self.page = context.new_page()
        self.page.add_init_script(f"(() => {{{CUTTER}}})()")
        self.complaints = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        self.page.on("console", self._note)

    def _note(self, message):
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    def goto(self, path, **options):
        """``path`` may be in any script."""
        self.response = self.page.goto(f"/{quote(path, safe='/?&=%')}", **options)
        # Nothing but a reload takes this away.
        self.page.evaluate("window.neverReloaded = true")

    @property
    def never_reloaded(self):
        return self.page.evaluate("window.neverReloaded === true")

    def until(self, condition):
        """Playwright's own ``wait_for_function`` would be an ``eval`` in the page, which the page's policy forbids."""
        self.page.evaluate(UNTIL % (condition, json.dumps(condition), PATIENCE))

    def keeps_nothing(self, storage="sessionStorage"):
        """What was sent is forgotten with its ``ok``, which may come after the entry itself."""
        self.until(f"{storage}.length === 0")

    def unplug(self):
        """No socket from here on, and over reloads, while pages are loaded as ever."""
        status = self.page.locator('django-room [data-part="status"]')
        status.and_(self.page.locator('[data-state="live"]')).first.wait_for()
        self.page.evaluate("window.name = 'unplugged'; window.cut()")
        status.and_(self.page.locator(':not([data-state="live"])')).first.wait_for()

    def plug_in(self):
        """As when the network is back, which browsers tell."""
        self.page.evaluate("window.name = ''; window.dispatchEvent(new Event('online'))")

    def hear_no_more(self):
        """On the next page what is sent arrives, and no answer to it comes back, nor anything that is said."""
        self.deaf = True

        def pass_on(socket):
            server = socket.connect_to_server()
            server.on_message(lambda text: send_each(socket, filter(self._is_heard, frames_of(text))))

        self.page.route_web_socket("**/ws/**", pass_on)

    def _is_heard(self, frame):
        return not self.deaf or frame["type"] not in ("ok", "entries")

    def delay_history(self):
        """From the next page on, answers to ``history`` are late by whatever is heard until ``let_history_come``."""
        self.late = []

        def pass_on(socket):
            server = socket.connect_to_server()

            def hear(text):
                late = [frame for frame in frames_of(text) if frame["type"] == "history"]
                send_each(socket, (frame for frame in frames_of(text) if frame not in late))
                if late:
                    self.late.append(lambda: send_each(socket, late))
                    self.page.evaluate("window.historyIsLate = true")

            server.on_message(hear)

        self.page.route_web_socket("**/ws/**", pass_on)

    def wait_for_late_history(self):
        """The server has answered, with what it knew by then."""
        self.until("window.historyIsLate")

    def let_history_come(self):
        assert self.late
        while self.late:
            self.late.pop(0)()

    def refuse_bodies_with(self, words):
        """From the next page on, a server that refuses what has ``words`` in it; none does with ``None``."""

        def refuses(frame):
            return words and words in json.dumps(frame.get("body"))

        self._refuse(refuses, code="bad_body", message="Not with me.")

    def refuse_once(self, kind, **error):
        """From the next page on, a server that refuses the first request of this kind; what is still to come."""
        to_come = [kind]

        def refuses(frame):
            return to_come and frame["type"] == to_come[0] and to_come.pop()

        self._refuse(refuses, **error)
        return to_come

    def _refuse(self, refuses, **error):
        def pass_on(socket):
            server = socket.connect_to_server()

            def check(text):
                for frame in frames_of(text):
                    if refuses(frame):
                        refusal = {"type": "error", "ref": frame["ref"], "room": frame["room"]}
                        socket.send(json.dumps(refusal | error))
                    else:
                        server.send(json.dumps(frame))

            socket.on_message(check)

        self.page.route_web_socket("**/ws/**", pass_on)

    def overhear(self):
        """From the next page on, ``self.tell(frame)`` says something to the page in its server's name."""

        def pass_on(socket):
            server = socket.connect_to_server()
            server.on_message(socket.send)
            self.tell = lambda frame: socket.send(json.dumps(frame))

        self.page.route_web_socket("**/ws/**", pass_on)

    def room(self, name=None):
        """The section of the room ``name``, or of the only one."""
        selector = "django-room" if name is None else f'django-room[data-room="{name}"]'
        return Section(self.page.locator(selector))


class Section:
    def __init__(self, locator):
        self.locator = locator
        self.field = locator.locator('[data-part="text-field"]')
        self.status = locator.locator('[data-part="status"]')
        self.texts = locator.locator('[data-part="entries"] [data-part="text"]')
        # Those of which the server has said that they are kept.
        self.kept = locator.locator('[data-part="entries"] > [data-offset]')

    def say(self, *texts):
        for text in texts:
            self.field.fill(text)
            self.field.press("Enter")

    def entry(self, text):
        """The entry with exactly this text."""
        words = self.locator.page.get_by_text(text, exact=True).and_(self.locator.page.locator('[data-part="text"]'))
        return self.kept.filter(has=words)

    def unsent(self, text):
        words = self.locator.page.get_by_text(text, exact=True).and_(self.locator.page.locator('[data-part="text"]'))
        return self.locator.locator('[data-part="entries"] > [data-state]').filter(has=words)

    def open_menu(self, text):
        self.entry(text).hover()
        self.entry(text).locator("summary").click()

    def edit(self, text, new):
        self.open_menu(text)
        self.locator.get_by_role("button", name="Edit").click()
        self.locator.get_by_label("Edit your message").fill(new)
        self.locator.get_by_role("button", name="Save").click()

    def remove(self, text):
        self.open_menu(text)
        self.locator.get_by_role("button", name="Remove").click()
        self.locator.get_by_role("button", name="Really remove?").click()

    def said(self):
        return self.texts.all_text_contents()

    def shows(self, *texts):
        """Exactly these, each kept by the server, and nothing more."""
        from playwright.sync_api import expect

        expect(self.kept).to_have_count(len(texts))
        expect(self.texts).to_have_text(list(texts))

    def comes_to(self, count):
        """So many are kept, also where the page has to find its server again first."""
        self.kept.nth(count - 1).wait_for(timeout=COMES_BACK)

    def is_in_state(self, state, words=None):
        from playwright.sync_api import expect

        expect(self.status).to_have_attribute("data-state", state)
        if words:
            expect(self.status).to_have_text(words)
