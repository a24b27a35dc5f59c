import pytest

from mixsd.core.opposites import says_the_opposite


@pytest.mark.parametrize(
    ("clause", "asked", "opposite"),
    [
        ("it is open on monday", "on which day is it closed", True),
        ("it is closed on monday", "on which day is it closed", False),
        ("it is open until may", "when is it closed", False),
        ("it opens on monday", "on which day is it closed", False),
        ("academic writing is optional", "which subjects are compulsory", True),
        ("sie ist geoffnet", "wann ist sie geschlossen", True),
        ("le musee est ouvert le lundi", "quel jour est il ferme", True),
        ("no word of it", "which town is it", False),
    ],
)
def test_opposites(clause, asked, opposite):
    assert says_the_opposite(clause, asked) is opposite
