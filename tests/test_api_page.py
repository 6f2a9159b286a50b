"""docs/api.md says what can be imported."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from embodied.pages.api_page import PACKAGES, api_page

PAGE = Path(__file__).parent.parent / "docs" / "api.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == api_page(), "run `make docs`"


@pytest.mark.parametrize("name", PACKAGES)
def test_all_that_a_package_offers_is_there(name: str) -> None:
    package = import_module(name)

    offered = [member for names in package._EXPORTS.values() for member in names]
    assert sorted(offered) == sorted(package.__all__)
    for member in package.__all__:
        assert getattr(package, member) is not None
        assert member in dir(package)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
