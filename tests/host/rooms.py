"""The host's rooms: one for each kind of policy."""

from django_rooms import PublicRoom, Room, SignedInRoom, register

register("lobby", PublicRoom)
register("members/<slug:name>", SignedInRoom)
register("notes/<path:name>", PublicRoom)


@register("halls/<path:name>")
class Hall(PublicRoom):
    """Where many are, and each is told by name."""

    presence_names = 500


@register("orders/<int:pk>")
class OrderRoom(Room):
    """Joined by the customer, whose primary key is the order's here; written in by the staff too."""

    def can_join(self, user):
        return user.is_staff or user.pk == self.kwargs["pk"]

    async def can_publish(self, user):
        return user.is_staff or user.pk == self.kwargs["pk"]


@register("crowds/<path:name>")
class CrowdRoom(PublicRoom):
    """Tells how many are here, and no names."""

    presence_names = 0


@register("closed")
class ClosedRoom(Room):
    """Says nothing of its policy: closed."""
