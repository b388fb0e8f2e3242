"""How cost grows: any measure along one of its parameters, or along a part of the server's choice. Pure.

A curve is a list of points, one for each value: `{"at": value, **figures}`, each of a server of its own.
"""

from statistics import median


def off_flat(points, figure):
    """The farthest that a point is from the median of all points, as a part of it: 0 is flat."""
    values = of(points, figure)
    middle = median(values)
    return max(abs(value / middle - 1) for value in values)


def off_flat_but_first(points, figure):
    return off_flat(points[1:], figure)


def greatest(points, figure):
    return max(of(points, figure))


def with_members_own(points):
    """The points of a fan-out, the first of them with one member, and what each member beyond that one adds.

    Of a publish there is a part that does not depend on how many they are, storing it above all.
    """
    first = points[0]
    return [first, *(point | {"cpu_us_per_member": _of_each(first, point)} for point in points[1:])]


def _of_each(first, point):
    return (point["cpu_us_per_publish"] - first["cpu_us_per_publish"]) / (point["at"] - first["at"])


def of(points, figure):
    """Of the points that have it."""
    return [point[figure] for point in points if figure in point]
