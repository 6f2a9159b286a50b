"""The ledger of measured figures: what counts as measured, and that it survives its
file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from embodied.errors import EmbodiedError
from embodied.pages.book import Book
from embodied.pages.ledger import Command, Ledger


@dataclass(frozen=True)
class Question:
    key: str
    seeds: tuple[int, ...]

    def is_answered_by(self, row: Row) -> bool:
        return (row.key, row.seeds) == (self.key, self.seeds)


@dataclass(frozen=True)
class Row:
    key: str
    seeds: tuple[int, ...]
    value: float | None = 0.5


ROWS = (Row("kitchen", (1, 2)), Row("office", (), None))
LEDGER = Ledger((Command("2026-11-24", "embodied x"),), {"cpu": {"cores": 2}}, ROWS)


def book(page: Path) -> Book[Row]:
    return Book(page, "test", {"row": Row}, lambda ledger, name: f"{name}: {ledger}\n")


def test_only_the_same_measurement_is_an_answer() -> None:
    questions = [Question("kitchen", (1, 2)), Question("office", ())]
    assert LEDGER.missing(questions) == []
    others = [Question("kitchen", (1, 3)), Question("garden", (1, 2))]
    assert LEDGER.missing([*questions, *others]) == others


def test_a_row_takes_the_place_of_the_older_one() -> None:
    newer = Row("kitchen", (7,))
    assert LEDGER.with_row(newer).rows == (ROWS[1], newer)
    assert LEDGER.with_row(Row("garden", ())).rows == (*ROWS, Row("garden", ()))
    assert LEDGER.without([Question("kitchen", (9,))]).rows == (ROWS[1],)


def test_a_command_is_listed_once_under_its_last_day() -> None:
    signed = LEDGER.signed(["x", "--resume", "--json"], "cpu", {"cores": 4})
    (command,) = signed.commands
    assert command.line == "embodied x"
    assert command.day > "2026-11-24"
    assert signed.machines == {"cpu": {"cores": 4}}

    # A second command is added, and its machine beside the first one.
    again = signed.signed(["y", "a b"], "gpu", {"cores": 8})
    assert [known.line for known in again.commands] == [
        "embodied x",
        "embodied y 'a b'",
    ]
    assert again.machines == {"cpu": {"cores": 4}, "gpu": {"cores": 8}}


def test_a_ledger_survives_its_file(tmp_path: Path) -> None:
    figures_book = book(tmp_path / "new" / "figures.md")

    assert figures_book.read() == Ledger()
    figures_book.write(LEDGER)
    assert figures_book.read() == LEDGER
    assert figures_book.page.read_text().startswith("figures.json: Ledger(")
    names = sorted(path.name for path in figures_book.page.parent.iterdir())
    assert names == ["figures.json", "figures.md"]

    # A row is written with the name of its kind, so that it can be read back.
    rows = json.loads(figures_book.figures.read_text())["rows"]
    assert rows[0] == {
        "kind": "row",
        "key": "kitchen",
        "seeds": [1, 2],
        "value": 0.5,
    }


def test_what_exists_is_gone_on_with_or_replaced_only_on_request(
    tmp_path: Path,
) -> None:
    figures_book = book(tmp_path / "figures.md")
    questions = [Question("kitchen", (1, 2))]
    assert figures_book.open(questions, resume=False, overwrite=False) == Ledger()
    figures_book.write(LEDGER)
    with pytest.raises(EmbodiedError, match="exists: --resume"):
        figures_book.open(questions, resume=False, overwrite=False)
    assert figures_book.open(questions, resume=True, overwrite=False) == LEDGER
    assert figures_book.open(questions, resume=False, overwrite=True).rows == ROWS[1:]


HEAD = {"commands": [], "machines": {}}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        json.dumps({**HEAD, "format": "embodied-test", "schema_version": 1}),
        json.dumps({**HEAD, "format": "embodied-other", "schema_version": 2}),
        json.dumps(
            {
                **HEAD,
                "format": "embodied-test",
                "schema_version": 2,
                "rows": [{"kind": "row", "key": "kitchen"}],
            }
        ),
        json.dumps(
            {
                **HEAD,
                "format": "embodied-test",
                "schema_version": 2,
                "rows": [{"kind": "row", "key": 3, "seeds": [], "value": 1}],
            }
        ),
        json.dumps(
            {
                **HEAD,
                "format": "embodied-test",
                "schema_version": 2,
                "rows": [{"kind": "column", "key": "", "seeds": [], "value": 1}],
            }
        ),
    ],
)
def test_what_is_no_ledger_is_refused(tmp_path: Path, content: str) -> None:
    figures_book = book(tmp_path / "bad.md")
    figures_book.figures.write_text(content)
    with pytest.raises(
        EmbodiedError, match=r"bad\.json is no test that this version reads"
    ):
        figures_book.read()


def test_the_page_is_no_json_file() -> None:
    with pytest.raises(EmbodiedError, match="must not end in .json"):
        book(Path("figures.json"))
