import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxtrack.errors import ConfigError
from pbxtrack.sitefile.export import quote
from pbxtrack.toml_lines import KeyPath, Lines, parse

DOCUMENT = '''# a comment
a.b = 1
[[site]]
key = "x # no comment" # a comment
nums = [
  "a",
  # "not this"
  "b", """x
]y""", { q = 1, "w.e" = [2, 'z'] },
]
[[site.pool]]
n = 1979-05-27 07:32:00
[[site.pool]]
m = 2
[site.z."q\\u0041"]
x = true
[[site]]
  [[site.pool]]
  k = \'\'\'a
\'\'\'\'\'
'''


def all_paths(value: Any, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from all_paths(inner, (*path, key))


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("a", "b"), 2),
        (("site", 0), 3),
        (("site", 0, "key"), 4),
        (("site", 0, "nums", 1), 8),
        (("site", 0, "nums", 3, "w.e", 1), 9),
        (("site", 0, "pool", 1, "m"), 14),
        (("site", 0, "z", "qA", "x"), 16),
        (("site", 1, "pool", 0, "k"), 19),
        (("site", 1, "missing"), 17),
        (("nowhere",), 1),
    ],
)
def test_each_value_has_its_line(path: KeyPath, line: int) -> None:
    assert Lines(DOCUMENT).find(path) == line


def test_every_value_that_the_parser_finds_has_a_line() -> None:
    assert Lines(DOCUMENT).paths() == set(all_paths(tomllib.loads(DOCUMENT)))


texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = st.one_of(texts.map(quote), st.integers().map(str), st.booleans().map(lambda value: str(value).lower()))
gaps = st.sampled_from(["", " ", "\t"])


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gap = st.sampled_from(["", " ", "\n", " # ] \" '\n"])
    return st.tuples(st.lists(inner, max_size=4), gap).map(
        lambda drawn: f"[{drawn[1]}{(',' + drawn[1]).join(drawn[0])}{drawn[1]}]"
    )


def inline_tables(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.dictionaries(texts, inner, max_size=3).map(
        lambda drawn: "{ " + ", ".join(f"{quote(key)} = {value}" for key, value in drawn.items()) + " }"
    )


values = st.recursive(scalars, lambda inner: st.one_of(arrays(inner), inline_tables(inner)), max_leaves=8)


@given(st.dictionaries(texts, values, max_size=5), st.dictionaries(texts, values, max_size=3))
def test_any_document_has_a_line_for_each_value(top: dict[str, str], inner: dict[str, str]) -> None:
    text = "".join(f"{quote(key)} = {value}\n" for key, value in top.items() if key != "t")
    text += "[[t]]\n" + "".join(f"{quote(key)}={value} # c\n" for key, value in inner.items()) + "[t.'']\n[[t]]"
    if "" in inner:
        text = text.replace("[t.'']\n", "")
    assert Lines(text).paths() == set(all_paths(tomllib.loads(text)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a = \n", "f.toml:1: is not valid TOML: "),
        (b"a = 1\n\nb\n", "f.toml:3: is not valid TOML: "),
        (b"a = 1\nb = [1,\n", "f.toml:2: is not valid TOML: "),
        (b"a = 1\na = 2\n", "f.toml:2: is not valid TOML: "),
        (b"a = 1\nb = '\xff'\n", "f.toml:2: is not UTF-8 text"),
        (b"a = " + b"[" * 10_000, "f.toml: is nested too deeply"),
    ],
)
def test_a_broken_file_is_one_line(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(content, "f.toml")
    assert str(error.value).startswith(message)  # the rest is Python's own and changes with its version
    assert "\n" not in str(error.value)


def test_a_number_of_thousands_of_digits_is_no_defect_of_ours() -> None:
    with pytest.raises(ConfigError, match=r"^f.toml: is not valid TOML: Exceeds the limit"):
        parse(b"a = " + b"9" * 5_000, "f.toml")


def test_windows_writes_a_mark_and_its_own_line_ends() -> None:
    data, lines = parse(b"\xef\xbb\xbfa = 1\r\n\r\nb = 2\r\n", "f.toml")
    assert data == {"a": 1, "b": 2}
    assert lines.find(("b",)) == 3
