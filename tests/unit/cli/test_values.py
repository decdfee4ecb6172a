"""Values as people type them."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from headway.cli.values import json_argument, pairs


def test_pairs_decode_json_and_keep_other_texts() -> None:
    given = ("a=1", "b=true", "c=x y", 'd={"k": [1]}', "e=", "f=a=b", "g=NaN")
    assert pairs(given, "--param") == {
        "a": 1, "b": True, "c": "x y", "d": {"k": [1]}, "e": "", "f": "a=b", "g": "NaN",
    }  # fmt: skip


def test_a_dotted_name_is_a_key_of_an_object() -> None:
    assert pairs(("env.A=1", "env.B=x"), "--job-variable") == {"env": {"A": 1, "B": "x"}}


def test_where_the_schema_wants_a_text_a_number_stays_one() -> None:
    schema = {"properties": {"day": {"type": "string"}, "n": {"type": "integer"}}}
    assert pairs(("day=007", "n=7", "day=1"), "--param", schema) == {"day": "1", "n": 7}
    assert pairs(('day="quoted"',), "--param", schema) == {"day": "quoted"}


def test_the_values_of_an_object_of_texts_are_texts() -> None:
    values = {"anyOf": [{"type": "string"}, {"type": "null"}]}
    schema = {"properties": {"env": {"type": "object", "additionalProperties": values}}}
    given = ("env.A=1", "env.B=null", "env.C=true")
    assert pairs(given, "--job-variable", schema) == {"env": {"A": "1", "B": None, "C": "true"}}


@pytest.mark.parametrize("text", ["novalue", "=x", " =x"])
def test_a_text_that_is_no_pair_is_refused_by_name(text: str) -> None:
    with pytest.raises(click.UsageError, match="is not a pair; write --param name=value"):
        pairs((text,), "--param")


def test_json_is_given_itself_or_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "template.json"
    file.write_text('{"a": 1}')
    assert json_argument('{"a": 1}', "--x") == json_argument(str(file), "--x") == json_argument(f"@{file}", "--x")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("/no/such/file", "No such file"),
        ('{"a": ', "not valid JSON"),
    ],
)
def test_json_that_is_none_is_refused_with_the_remedy(text: str, words: str) -> None:
    with pytest.raises(click.UsageError, match=words) as caught:
        json_argument(text, "--base-job-template")
    assert "Give a JSON object or a file that has one" in caught.value.message


def test_a_file_with_something_else_than_an_object_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "list.json"
    file.write_text("[1]")
    with pytest.raises(click.UsageError, match="a JSON object is expected, not list"):
        json_argument(str(file), "--x")
