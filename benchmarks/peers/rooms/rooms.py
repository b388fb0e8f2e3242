from django_rooms import PublicRoom, register

register("<slug:name>", PublicRoom)
