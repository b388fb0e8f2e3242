"""What somebody sees and does in a tab."""

from urllib.parse import quote


class Tab:
    def __init__(self, context):
        self.context = context
        self.page = context.new_page()
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

    def said(self):
        return self.texts.all_text_contents()

    def shows(self, *texts):
        """Exactly these, each kept by the server, and nothing more."""
        from playwright.sync_api import expect

        expect(self.kept).to_have_count(len(texts))
        expect(self.texts).to_have_text(list(texts))

    def is_in_state(self, state, words=None):
        from playwright.sync_api import expect

        expect(self.status).to_have_attribute("data-state", state)
        if words:
            expect(self.status).to_have_text(words)
