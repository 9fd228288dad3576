"""What jsonargparse says of wrong arguments, as a person would say it."""

import re
from collections.abc import Iterable

_KEY = re.compile(r'[Pp]arser key "([^"]+)"(?!: Unable to load)')
_GIVEN = re.compile(
    r"(?:Got value|dot import path string): (.*)"
    r"|Import path (\S+) does not correspond"
    r"|Unable to load config \"(.*)\""
    r"|Given value: NestedArg\(key='[^']*', val='?(.*?)'?\)"
    r"|Given value: (.*)"
)
_EXPECTED = re.compile(r"Expected an? (.+?)(?:\. Got value.*)?$", re.MULTILINE)
_LITERAL = re.compile(r"typing\.Literal\[(.+)\]")
_ELEMENTS = re.compile(r"tuple with (\d+) elements")
_ANNOTATED = re.compile(r"^(?:typing\.)?Annotated\[([^,]+), (.+)\]$")
_SUBCLASS = re.compile(r"(?:Not a valid subclass of|not correspond to a subclass of) (\w+)")
_GROUP = re.compile(r"Expected a group|Unable to load config")
_REQUIRED = re.compile(r"the following arguments are required: (.+)|Key \"([^\"]+)\" is required")
_WITHOUT_VALUE = re.compile(r"argument (?:-c/)?(--[\w.]+)[^:]*: expected one argument")
_STRAY = re.compile(r"unrecognized arguments: (.+)", re.DOTALL)
_NO_CLASS = re.compile(r"given class_path '([^']+)':\s+(?!Parser key|the following|')(\S.*)")
_LINKED = re.compile(r"argument (\w+) --> ([\w.]+): ")
_SUBCOMMANDS = ("fit.", "validate.")

_KINDS = {
    "<class 'int'>": "a whole number",
    "<class 'float'>": "a number",
    "<class 'bool'>": "true or false",
    "<class 'str'>": "text",
    "<class 'list'>": "a list",
    "<class 'tuple'>": "a list",
    "int": "a whole number",
    "float": "a number",
}
LONGEST = 80


def plain_sentence(message: str) -> str:
    """A parser's message of several lines as one sentence that names option, value and limit.

    >>> plain_sentence('Parser key "seeds":\\n  Expected a <class \\'int\\'>. Got value: x')
    "--seeds is 'x', it must be a whole number."
    >>> plain_sentence("the following arguments are required: checkpoint, out")
    '--checkpoint and --out are missing.'
    """
    keys = _KEY.findall(message)
    if found := _REQUIRED.search(message):
        return _missing([".".join([*keys, name]) for name in (found[1] or found[2]).split(", ")])
    if found := _WITHOUT_VALUE.search(message):
        return f"{found[1]} is given without a value."
    if found := _STRAY.search(message):
        return f"'{_short(found[1])}' belongs to no option."
    if found := _LINKED.search(message):
        return f"--{found[2]} is set by --{found[1]}: leave it out."
    if not keys:
        return _ended(" ".join(message.split()))
    option = f"--{'.'.join(keys)}"
    if found := _NO_CLASS.search(message):
        return f"{option} is '{found[1]}', which can't be used ({_ended(found[2])[:-1]})."
    return _wrong_value(option, message)


def _wrong_value(option: str, message: str) -> str:
    classes = [f"the import path of a {name}" for name in _SUBCLASS.findall(message)]
    kinds = classes or [*_in_words(_EXPECTED.findall(message))]
    if _GROUP.search(message):
        kinds = ["settings by name"]
    if given := _GIVEN.search(message):
        value = next(filter(None, given.groups()), "")
        value = "null" if value == "None" else _short(value)
        if kinds:
            return f"{option} is '{value}', it must be {' or '.join(dict.fromkeys(kinds))}."
        return f"{option} is '{value}', which can't be used."
    reason = message.rpartition('":')[2] if '":' in message else message
    return _ended(f"{option}: {' '.join(reason.split())}")


def _in_words(types: Iterable[str]) -> Iterable[str]:
    """Types as people call them, but null, which is always the default."""
    for name in types:
        annotated = _ANNOTATED.match(name)
        if literal := _LITERAL.search(name):
            *some, last = (word.strip(" '\"") for word in literal[1].split(","))
            yield f"{', '.join(some)} or {last}" if some else last
        elif elements := _ELEMENTS.search(name):
            yield f"a list of {elements[1]} values"
        elif annotated:
            yield f"{_KINDS.get(annotated[1], annotated[1])} {annotated[2]}"
        elif "dot import path" in name or "path but" in name:
            yield "the import path of a class"
        elif name in _KINDS:
            yield _KINDS[name]


def _missing(names: list[str]) -> str:
    words = [name for name in names if name]
    for prefix in _SUBCOMMANDS:
        words = [name.removeprefix(prefix) for name in words]
    options = " and ".join(f"--{name}" for name in words)
    which = "are" if len(words) > 1 else "is"
    if {"model", "data"} & set(words):
        return f"{options} {which} missing: name a configuration that has both, --config FILE."
    return f"{options} {which} missing."


def _short(text: str) -> str:
    """A value as one line that is not too long, a list without its brackets."""
    line = " ".join(text.split())
    if line.startswith("[") and line.endswith("]"):
        line = re.sub(r"['\"\s]", "", line[1:-1])
    return line if len(line) <= LONGEST else f"{line[:LONGEST]}..."


def _ended(text: str) -> str:
    return text if text.endswith((".", "?", "!")) else f"{text}."
