"""Close codes say whether to come back."""

import pytest

from django_rooms.protocol.codes import CloseCode


@pytest.mark.parametrize("code", CloseCode)
def test_a_close_code_below_4500_means_come_back(code):
    assert 4000 <= code <= 4999
    assert code.come_back == (code < 4500)


def test_who_was_refused_does_not_come_back():
    assert not CloseCode.REFUSED.come_back
    assert CloseCode.RESTART.come_back
