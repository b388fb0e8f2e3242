from django_rooms import PublicRoom, register


@register("unseen-<slug:name>")
class Unseen(PublicRoom):
    presence_names = None


register("<slug:name>", PublicRoom)
