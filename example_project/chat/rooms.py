"""The example's rooms, matched from top to bottom as URLs are: the last line opens all other names."""

from django_rooms import PublicRoom, Room, SignedInRoom, register

register("lobby", PublicRoom)
register("members/<str:name>", SignedInRoom)


@register("desks/<str:owner>")
class Desk(Room):
    """One person's own room: others with an account may read along, only its owner and the staff write."""

    def can_join(self, user):
        return user.is_authenticated

    def can_publish(self, user):
        return user.is_staff or user.get_username() == self.kwargs["owner"]

    def can_see_members(self, user):
        """Who reads along is shown to whom it is written by; the others are told how many."""
        return self.can_publish(user)


register("<path:name>", PublicRoom)
