"""Names are routed as URLs are: a pattern is what Django's ``path()`` takes."""

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import unquote

from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, Resolver404, URLResolver, path
from django.urls.resolvers import RegexPattern


@dataclass(frozen=True)
class Pattern:
    route: str

    def check(self) -> None:
        """Raise ``ImproperlyConfigured`` for a route that ``path()`` or ``reverse()`` cannot take."""
        if "%" in self.route:
            raise ImproperlyConfigured(f"The pattern {self.route!r} has a '%', of which Django makes no name.")
        try:
            self._resolver.resolve("")
        except Resolver404:
            pass
        except re.error as error:
            raise ImproperlyConfigured(f"The pattern {self.route!r} cannot be read: {error}.") from None

    def match(self, name: str) -> dict[str, Any] | None:
        """The values in ``name``, if it is exactly what they reverse to: ``orders/042`` is not."""
        try:
            kwargs = self._resolver.resolve(name).kwargs
        except Resolver404:
            return None
        return kwargs if self.reverse(kwargs) == name else None

    def reverse(self, kwargs: dict[str, Any]) -> str | None:
        """The name that the pattern makes of ``kwargs``, or ``None`` if they are not its own."""
        try:
            return unquote(self._resolver.reverse("room", **kwargs))
        except NoReverseMatch:
            return None

    @cached_property
    def _resolver(self) -> URLResolver:
        return URLResolver(RegexPattern(r"^"), [path(self.route, _nothing, name="room")])


def _nothing(*args: Any) -> Any:
    """A pattern is matched and reversed; no view is ever called by it."""
