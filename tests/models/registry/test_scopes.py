import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast_models.registry.scopes import ALL, Scope

MLFLOW_TAKES = r"[A-Za-z0-9_-]{1,255}"


@given(
    st.sampled_from(["site", "building"]), st.text(min_size=1, max_size=20), st.sampled_from(["champion", "previous"])
)
def test_an_alias_tells_its_scope_again(kind: str, name: str, role: str) -> None:
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return
    scope = Scope(kind, name)
    alias = scope.alias(role)
    assert Scope.of(alias) == (role, scope)
    assert alias == alias.lower()
    assert alias.isascii()


def test_all_buildings_have_the_plain_alias() -> None:
    assert (ALL.alias("champion"), Scope.of("previous")) == ("champion", ("previous", ALL))
    assert Scope("site", "Nord 1").alias("champion") == "champion-site-_4eord_201"


@pytest.mark.parametrize("alias", ["best", "champion-", "champion-site-", "champion-room-1", "champion-site-_ff"])
def test_an_alias_of_somebody_else_has_no_scope(alias: str) -> None:
    assert Scope.of(alias) is None


@pytest.mark.parametrize("name", ["", "x" * 240, "Ä" * 100])
def test_a_name_that_the_registry_would_not_take_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot have a champion"):
        Scope("building", name).alias("champion")
