"""The command line's grammar: one row an option, parsed by jsonargparse; mistakes get the nearest valid word."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser, DefaultHelpFormatter

from actsearch.errors import ActsearchError, suggest

METAVARS: dict[Any, str] = {int: "N", float: "NUMBER", str: "TEXT"}


class UsageError(ActsearchError, ValueError):
    """The command line itself is wrong: an unknown command or flag, or a value of the wrong kind."""


@dataclass(frozen=True)
class Option:
    """One flag (``--n-trials``) or, without dashes, one positional argument."""

    flag: str
    help: str
    type: Any = str
    default: Any = None
    metavar: str | None = None
    required: bool = False
    nargs: str | None = None

    @property
    def key(self) -> str:
        """Its name in a configuration file and in Python."""
        return self.flag.removeprefix("--").replace("-", "_")


@dataclass(frozen=True)
class Command:
    """One command: what it does in a line, its options by heading, an example, and the function that does it."""

    name: str
    help: str
    groups: dict[str, tuple[Option, ...]]
    example: str
    run: Callable[..., int]
    has_config: bool = False

    @property
    def options(self) -> list[Option]:
        """All options."""
        return [option for group in self.groups.values() for option in group]


def comma_list(value: Any) -> list[str]:
    """Return ``"a, b"``, or a list from a configuration file, as a list of words.

    Example:
        >>> comma_list("deep,residual"), comma_list(["deep"]), comma_list("")
        (['deep', 'residual'], ['deep'], [])
    """
    words = value if isinstance(value, (list, tuple)) else str(value).split(",")
    return [str(word).strip() for word in words if str(word).strip()]


def numbers(value: Any) -> list[float]:
    """Return ``"1/9, 1/3, 1"``, or a list from a configuration file, as numbers; whole ones above 1 stay whole.

    Example:
        >>> numbers("1/4,1"), numbers([75, 600])
        ([0.25, 1.0], [75, 600])
    """
    found = [Fraction(word) for word in comma_list(value)]
    return [int(number) if number > 1 and number.denominator == 1 else float(number) for number in found]


def sizes(value: Any) -> list[int]:
    """Return ``"4096, 2^20"``, or a list from a configuration file, as whole numbers.

    Example:
        >>> sizes("4096,2^20"), sizes([1])
        ([4096, 1048576], [1])
    """
    pairs = [word.partition("^")[::2] for word in comma_list(value)]
    found = [(int(base), int(power or 1)) for base, power in pairs]
    if any(power > 64 for _, power in found):
        raise ValueError
    return [base**power for base, power in found]


def word(value: Any) -> str:
    """Return a word, ``off`` too, which YAML reads as false.

    Example:
        >>> word("auto"), word(False)
        ('auto', 'off')
    """
    return "off" if value is False else str(value)


def parse(argv: Sequence[str], commands: Sequence[Command], version: str) -> tuple[Command, dict[str, Any]]:
    """Return the command that ``argv`` names and its arguments by key.

    Raises:
        UsageError: the words mean nothing; says the nearest valid one.
        SystemExit: after ``--help`` or ``--version`` (0), or without any words (2).
    """
    parser = _parser(commands, version)
    words = [_dashed(word) for word in argv]
    by_name = {command.name: command for command in commands}
    if not words:
        parser.print_help()
        raise SystemExit(2)
    if not words[0].startswith("-") and words[0] not in by_name:
        raise UsageError(f"there is no command {words[0]!r}{suggest(words[0], by_name)} ({', '.join(by_name)})")
    try:
        parsed = parser.parse_args(words)
    except ArgumentError as error:
        raise UsageError(explain(str(error), by_name.get(words[0]))) from None
    values = dict(parsed[parsed.command].as_dict())
    values.pop("config", None)
    return by_name[parsed.command], values


def _dashed(word: str) -> str:
    """Return a flag with dashes, so that ``--n_trials`` means ``--n-trials``; its value stays as it is."""
    if not word.startswith("--"):
        return word
    flag, equals, value = word.partition("=")
    return f"{flag.replace('_', '-')}{equals}{value}"


def _parser(commands: Sequence[Command], version: str) -> ArgumentParser:
    parser = ArgumentParser(
        prog="actsearch",
        description="Find a better activation function for a neural network, by real training runs.",
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_Help,
    )
    parser.add_argument("--version", action="version", version=f"actsearch {version}")
    below = parser.add_subcommands(required=True, dest="command", metavar="COMMAND", title="commands")
    for command in commands:
        below.add_subcommand(command.name, _command_parser(command), help=command.help)
    return parser


def _command_parser(command: Command) -> ArgumentParser:
    made = ArgumentParser(
        description=command.help,
        epilog=f"example: {command.example}",
        print_config=None,
        exit_on_error=False,
        allow_abbrev=False,
        formatter_class=_Help,
    )
    if command.has_config:
        made.add_argument("--config", action="config", help="YAML file with these options as keys; flags win over it")
    for title, options in command.groups.items():
        group = made.add_argument_group(title)
        for option in options:
            _add(group, option)
    return made


def _add(group: Any, option: Option) -> None:
    if option.type is bool and option.default is False:
        group.add_argument(option.flag, action="store_true", help=option.help)
        return
    settings: dict[str, Any] = {"type": option.type, "help": option.help}
    if option.flag.startswith("--"):
        settings |= {"required": option.required, "default": option.default}
    elif option.nargs or not option.required:
        settings["nargs"] = option.nargs or "?"
    metavar = option.metavar or (METAVARS.get(option.type) if option.flag.startswith("--") else None)
    if metavar or not option.flag.startswith("--"):
        settings["metavar"] = metavar or option.flag.upper()
    group.add_argument(option.flag, **settings)


class _Help(DefaultHelpFormatter):
    """Help with the default behind each option, and without Python's names of types."""

    def _get_help_string(self, action: Any) -> str:
        help_ = action.help or ""
        default = action.default
        if default is None or default is False or default == "==SUPPRESS==" or not action.option_strings:
            return help_
        shown = ",".join(map(str, default)) if isinstance(default, list) else str(default)
        return f"{help_} (default: {shown})"


def explain(message: str, command: Command | None) -> str:
    """Return a parser's message in words for people, with the nearest valid flag."""
    if command is None:
        return _first_line(message)
    flags = [option.flag for option in command.options if option.flag.startswith("--")]
    for pattern, answer in _ANSWERS:
        if found := re.search(pattern, message, re.DOTALL):
            return answer(found, command, flags)
    return _first_line(message)


def _unknown_flag(found: re.Match[str], command: Command, flags: list[str]) -> str:
    flag = found[1].partition("=")[0]
    if not flag.startswith("-"):
        return f"{command.name} does not take {flag!r} ({command.example})"
    return f"{command.name} has no option {flag!r}{suggest(flag, flags)}"


def _unknown_key(found: re.Match[str], command: Command, flags: list[str]) -> str:
    keys = [option.key for option in command.options]
    return f"the configuration file has {found[1]!r}, which is no option of {command.name}{suggest(found[1], keys)}"


def _missing(found: re.Match[str], command: Command, flags: list[str]) -> str:
    by_key = {option.key: option.flag for option in command.options}
    wanted = [by_key.get(key.rpartition(".")[2], key) for key in re.split(r",\s*", found[1].strip())]
    return f"{command.name} needs {' and '.join(wanted)} (example: {command.example})"


def _wrong_value(found: re.Match[str], command: Command, flags: list[str]) -> str:
    key, expected, value = found[1].rpartition(".")[2], found[2], found[3].strip()
    flag = next((option.flag for option in command.options if option.key == key), key)
    if "Literal" in expected:
        words = re.findall(r"'([^']+)'", expected)
        return f"{flag} is one of {', '.join(words)}, not {value!r}{suggest(value, words)}"
    kind = next((words for name, words in _KINDS.items() if name in expected), "another kind of value")
    return f"{flag} needs {kind}, not {value!r}"


_KINDS = {"'int'": "a whole number", "'float'": "a number", "'bool'": "true or false", "dict": "keys with values"}
_LISTS = {"sizes": "whole numbers such as 4096,2^20", "numbers": "numbers such as 1/9,1/3,1"}
_Answer = Callable[[re.Match[str], Command, list[str]], str]
_ANSWERS: tuple[tuple[str, _Answer], ...] = (
    (r"unrecognized arguments: (\S+)", _unknown_flag),
    (r"does not accept option '([^']+)'", _unknown_key),
    (r"arguments are required: (.+)", _missing),
    (r'Parser key "([\w.]+)":\s*Expected (.+?)\. Got value: (.*)', _wrong_value),
    (r'Parser key "config": File does not exist: (.+)', lambda found, *_: f"there is no configuration file {found[1]}"),
    (
        r"argument (\S+): invalid (\w+) value: (.+)",
        lambda found, *_: f"{found[1]} needs {_LISTS.get(found[2], found[2])}, not {found[3]}",
    ),
    (r"argument (\S+): expected one argument", lambda found, *_: f"{found[1]} needs a value"),
    (
        r"Problems parsing config: (.+?)\n.*line (\d+)",
        lambda found, *_: f"the configuration file is no YAML: {found[1]} (line {found[2]})",
    ),
    (
        r"Unexpected config",
        lambda found, command, _: f"the configuration file must hold options as keys, as in {command.example!r}",
    ),
)


def _first_line(message: str) -> str:
    return message.strip().partition("\n")[0]
