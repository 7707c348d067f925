"""Dot products as numbers: what there is, for the estimate and for reuse, and the sentence for everything else."""

import json
import re
from itertools import product
from pathlib import Path

import pytest

from latte_hw.config import Dot, DotChoice, LatteConfig
from latte_hw.config.dot import DOT_CHOICES, REUSE, TABLE_CHOICES
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config
from latte_hw.params import HeadParams, TableShape

KNOWN = "4, 2, 1; 3, 2, 1; 3, 2, 2; 4, 1, 1 or 4, 1, 2"
EVERY = [DotChoice(Dot.TABLES, *numbers) for numbers in product((2, 3, 4, 5), (0, 1, 2, 3), (0, 1, 2, 3))]


def refuse(sentence: str):
    return pytest.raises(LatteError, match=f"^{re.escape(sentence)}$")


def settings(fields: dict[str, object]) -> list[str]:
    return [f"{name}={value}" for name, value in fields.items()]


@pytest.mark.parametrize("choice", DOT_CHOICES)
def test_every_kind_is_chosen_by_settings(choice: DotChoice):
    config = resolve_config("gpt2", None, settings(choice.fields()))
    assert (config.dot_choice, config.reuse_choice) == (choice, choice)
    config = resolve_config("gpt2", None, settings(choice.fields(REUSE)))
    assert (config.dot_choice, config.reuse_choice) == (DotChoice(), choice)


@pytest.mark.parametrize("choice", [choice for choice in EVERY if choice not in DOT_CHOICES])
def test_tables_that_no_result_uses_are_refused(choice: DotChoice):
    numbers = choice.table_dims, choice.table_queries, choice.adders_per_register
    for prefix in ("", REUSE):
        dims, queries, adders = (f"{prefix}{name}" for name in ("table_dims", "table_queries", "adders_per_register"))
        with refuse(
            f"there are no tables with {dims}={numbers[0]}, {queries}={numbers[1]} and {adders}={numbers[2]}: "
            f"{dims}, {queries}, {adders} must be {KNOWN}"
        ):
            resolve_config("gpt2", None, settings(choice.fields(prefix)))


def test_everything_else_there_is():
    assert {choice for choice in EVERY if choice in DOT_CHOICES} == set(TABLE_CHOICES)


@pytest.mark.parametrize("prefix", ["", REUSE])
@pytest.mark.parametrize("number", ["table_dims=3", "table_queries=1", "adders_per_register=2"])
def test_multipliers_have_no_tables(number: str, prefix: str):
    with refuse(f"{prefix}{number} belongs to {prefix}dot=tables: multipliers have no tables"):
        resolve_config("gpt2", None, [f"{prefix}dot=multipliers", f"{prefix}{number}"])


def test_reuse_is_as_the_estimate_but_for_what_is_given():
    one = LatteConfig(table_queries=1, adders_per_register=2)
    assert one.reuse_choice == one.dot_choice == DotChoice(table_queries=1, adders_per_register=2)
    lean = one.replace(reuse_table_dims=3, reuse_table_queries=2)
    assert lean.reuse_choice == DotChoice(table_dims=3, adders_per_register=2)
    assert one.replace(reuse_dot="multipliers").reuse_choice == DotChoice(Dot.MULTIPLIERS)
    assert LatteConfig(dot="multipliers", reuse_dot="tables", reuse_table_dims=3).reuse_choice == DotChoice(
        table_dims=3
    )
    with refuse(
        "there are no tables with reuse_table_dims=3, reuse_table_queries=1 and reuse_adders_per_register=1: "
        f"reuse_table_dims, reuse_table_queries, reuse_adders_per_register must be {KNOWN}"
    ):
        resolve_config("gpt2", None, ["table_queries=1", "reuse_table_dims=3"])


def test_the_derived_tables_are_those_of_the_numbers():
    params = HeadParams(LatteConfig(table_queries=1, reuse_table_dims=3, reuse_table_queries=2))
    assert params.scan_dot.tables == TableShape(4, 1, 1, fill_slices=params.pipeline.table_fill)
    assert params.reuse_dot.tables == TableShape(3, 2, 1, fill_slices=params.pipeline.table_fill)
    assert HeadParams(LatteConfig(dot="multipliers")).scan_dot.tables is None


@pytest.mark.parametrize(
    ("former", "numbers", "reuse_numbers"),
    [
        ("small_tables", "table_dims=3", (3, 2, 1)),
        ("lean_tables", "table_dims=3 and adders_per_register=2", (3, 2, 2)),
        ("single_tables", "table_queries=1", (4, 1, 1)),
        ("lean_single_tables", "table_queries=1 and adders_per_register=2", (4, 1, 2)),
    ],
)
def test_former_names_say_what_to_write_instead(former: str, numbers: str, reuse_numbers: tuple, tmp_path: Path):
    sentence = f"dot={former} is now dot=tables with {numbers}"
    with refuse(sentence):
        resolve_config("gpt2", None, [f"dot={former}"])
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"config": {"dot": former}}))
    with refuse(sentence):
        resolve_config(None, file, None)
    dims, queries, adders = reuse_numbers
    instead = f"reuse_table_dims={dims}, reuse_table_queries={queries} and reuse_adders_per_register={adders}"
    with refuse(f"reuse_dot={former} is now reuse_dot=tables with {instead}"):
        resolve_config("gpt2", None, [f"reuse_dot={former}"])
    # What the sentences say works and means the same, whatever the estimate is.
    written = re.split(", | and ", numbers)
    assert resolve_config("gpt2", None, ["dot=tables", *written]).dot_choice == DotChoice(Dot.TABLES, *reuse_numbers)
    reuse = ["table_queries=1", "reuse_dot=tables", *re.split(", | and ", instead)]
    assert resolve_config("gpt2", None, reuse).reuse_choice == DotChoice(Dot.TABLES, *reuse_numbers)


def test_numbers_count_in_the_hash_only_where_they_are_not_as_before():
    default = LatteConfig()
    assert default.sha256().startswith("9792ab42381916df")  # since before there were numbers
    assert LatteConfig(reuse_dot="tables", reuse_table_dims=4).sha256() == default.sha256(), "as the estimate"
    cores = [LatteConfig(**choice.fields(), **reuse.fields(REUSE)) for choice, reuse in product(DOT_CHOICES, repeat=2)]
    assert len({core.sha256() for core in cores}) == len(cores) == 36
