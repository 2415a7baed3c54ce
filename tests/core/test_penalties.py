import torch

from tutti.core import add_penalty, penalties


def test_terms_are_collected_while_a_step_is_under_way_and_only_then():
    add_penalty(torch.ones(3))
    with penalties() as terms:
        add_penalty(torch.ones(3))
        with penalties() as inner:
            add_penalty(torch.zeros(2))
        add_penalty(torch.full((3,), 2.0))
    add_penalty(torch.ones(3))
    torch.testing.assert_close(sum(terms), torch.full((3,), 3.0))
    assert len(inner) == 1
