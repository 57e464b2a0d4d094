"""Settings of strategies: read exactly, with every problem at once, each with its path and the nearest right key.

A plan's settings are JSON. Numbers stay exact (`"0.1"` and `0.1` mean the same, and no float is ever made of them).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict, TypeAdapter, ValidationError

from sniperforge.errors import InvalidInputError

ModelT = TypeVar("ModelT", bound="StrategyConfig")

TAG = "="
"""How parts of a path begin that only say which of several forms was taken; people do not see them."""

_FIRST_YEAR, _LAST_YEAR = 2000, 2200
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


def _exact(value: object) -> object:
    """A number as JSON has it, or written as a string."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        message = "must be a number, or a number in quotes"
        raise ValueError(message)  # noqa: TRY004 (pydantic turns only these into problems)
    try:
        number = Decimal(value.strip() if isinstance(value, str) else value)
    except InvalidOperation:
        message = f"{value!r} is not a number; write digits with a point, e.g. 12.5"
        raise ValueError(message) from None
    if not number.is_finite() or not -40 < number.adjusted() < 40:
        message = f"{value} is no amount or price that exists"
        raise ValueError(message)
    return number


def _moment(value: object) -> object:
    """An ISO 8601 time with its offset, as UTC."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        moment = None
    if not isinstance(moment, datetime):
        message = f"{value!r} is not a time; write it like 2027-01-31T09:00:00+01:00"
        raise ValueError(message)  # noqa: TRY004 (as above)
    if moment.utcoffset() is None:
        message = f"{value} has no offset; add Z for UTC, or one like +01:00"
        raise ValueError(message)
    if not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        message = f"{value} is not between the years {_FIRST_YEAR} and {_LAST_YEAR}"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _name(value: object) -> object:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        message = f"{value!r} is no name: 1 to 64 letters, digits, points, dashes and underscores"
        raise ValueError(message)
    return value


Amount = Annotated[Decimal, BeforeValidator(_exact), Field(gt=0)]
"""Whole tokens, or a price: above zero, exact."""

Moment = Annotated[datetime, BeforeValidator(_moment)]
"""A moment, in UTC."""

Whole = Annotated[int, Strict()]
"""A whole number, written as one."""


class StrategyConfig(BaseModel):
    """Settings that every plan has, whatever its kind.

    Fields are checked one by one; what must hold between several of them is said by `contradictions`, so that all
    problems are told at once.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    nested_keys: ClassVar[tuple[str, ...]] = ()
    """Keys inside of fields, with their paths, for whoever misspells one."""

    name: Annotated[str, BeforeValidator(_name)]
    """Name of the plan, for ever."""
    wallet: Annotated[str, Field(min_length=1)] | None = None
    """Name or address of the wallet; the default one if left out."""
    input_token: Annotated[str, Field(min_length=1)]
    """What is given: symbol or mint."""
    output_token: Annotated[str, Field(min_length=1)]
    """What is got: symbol or mint."""
    start_at: Moment | None = None
    """Not before; at once if left out."""
    end_at: Moment | None = None
    """No round after."""
    max_slippage_bps: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """Tighter cap than the settings', against the independent price."""
    max_cost_bps: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    """Most that all costs of an order may be together, against the independent price."""
    catch_up: Literal["skip", "once"] = "skip"
    """What becomes of rounds that were missed."""
    max_lateness_s: Annotated[Whole, Field(ge=1, le=31_536_000)] = 300
    """A round later than this was missed."""
    deadline_s: Annotated[Whole, Field(ge=1, le=31_536_000)] | None = None
    """How long after its decision an order may still be signed; the settings' if left out."""

    @classmethod
    def contradictions(
        cls,
        given: Mapping[str, Any],
        wrong: frozenset[str],  # noqa: ARG003 (for kinds of plans in which one field can stand for another)
    ) -> Iterator[str]:
        """What does not go together.

        Args:
            given: Fields that are right by themselves; one that is wrong or left out is absent or None.
            wrong: Fields that are given and wrong by themselves, which are told of already.
        """
        start, end = given.get("start_at"), given.get("end_at")
        if start is not None and end is not None and end <= start:
            yield f"end_at: {end.isoformat()} is not after start_at ({start.isoformat()})"
        source, target = given.get("input_token"), given.get("output_token")
        if source is not None and target is not None and source.casefold() == target.casefold():
            yield f"output_token: {target} is the input_token too"


def parse_config(text: str, *, subject: str) -> Mapping[str, Any]:
    """The JSON object in a text, its fractions exact.

    Args:
        text: The text.
        subject: Where it is from, for errors.

    Raises:
        InvalidInputError: It is no JSON object, or some key is there twice.
    """
    twice: list[str] = []

    def as_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = [key for key, _ in pairs]
        twice.extend(sorted({key for key in keys if keys.count(key) > 1}))
        return dict(pairs)

    def no_number(word: str) -> None:
        message = f"{word} is not a number"
        raise ValueError(message)

    try:
        values = json.loads(text, parse_float=Decimal, parse_constant=no_number, object_pairs_hook=as_object)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise unusable([f"{where}: {error.msg}: this is no JSON"], subject) from None
    except (ValueError, RecursionError) as error:
        raise unusable([f"this is no JSON: {error}"], subject) from None
    if not isinstance(values, dict):
        raise unusable(["this is no JSON object: it must begin with { and hold the settings"], subject)
    if twice:
        raise unusable([f"{key}: it is there twice" for key in twice], subject)
    return values


def read_config(model: type[ModelT], values: Mapping[str, Any]) -> ModelT:
    """These settings as a model.

    Raises:
        InvalidInputError: `problems` lists everything that is wrong.
    """
    try:
        config = model.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        problems = [_in_words(model, item["loc"], item["type"], item["msg"]) for item in found]
        right = _right_by_themselves(model, values)
        problems += model.contradictions(right, frozenset(set(values) - set(right)))
        raise unusable(problems, str(values.get("name") or "the plan")) from None
    problems = list(model.contradictions(dict(config), frozenset()))
    if problems:
        raise unusable(problems, config.name)
    return config


def unusable(problems: Sequence[str], subject: str) -> InvalidInputError:
    """The error that lists these problems of a plan's settings."""
    listed = "".join(f"\n  {problem}" for problem in problems)
    return InvalidInputError(f"these settings cannot work:{listed}", subject=subject, problems=tuple(problems))


def _right_by_themselves(model: type[StrategyConfig], values: Mapping[str, Any]) -> dict[str, Any]:
    """Every field whose value is right, whatever the others are."""
    right = {}
    for name, info in model.model_fields.items():
        if name in values:
            field: TypeAdapter[Any] = TypeAdapter(Annotated[info.annotation, info])  # type: ignore[arg-type]
            try:
                right[name] = field.validate_python(values[name])
            except ValidationError:
                continue  # it is among the problems already
    return right


def _in_words(model: type[StrategyConfig], where: tuple[int | str, ...], kind: str, said: str) -> str:
    path = ".".join(str(part) for part in where if not str(part).startswith(TAG))
    match kind:
        case "extra_forbidden":
            return f"{path}: {_nearest(model, path)}"
        case "missing":
            return f"{path}: it is missing"
        case _:
            return f"{path}: {said.removeprefix('Value error, ').replace('Input should be', 'must be')}"


def _nearest(model: type[StrategyConfig], path: str) -> str:
    known = {key.rsplit(".", 1)[-1]: key for key in (*model.model_fields, *model.nested_keys)}
    close = difflib.get_close_matches(path.rsplit(".", 1)[-1], known, n=1)
    return f"there is no such setting; did you mean {known[close[0]]}?" if close else "there is no such setting"
