"""The options of a verb, ``--flag`` and ``--name value``, apart from its other words."""

from __future__ import annotations

from collections.abc import Sequence

from blueprint_tune.errors import ConfigError, nearest


def split_options(
    verb: str, words: Sequence[str], flags: Sequence[str] = (), values: Sequence[str] = ()
) -> tuple[list[str], dict[str, str]]:
    """The other words, and the options with their values; a flag's is empty.

    ``flags`` and ``values`` are the options of ``verb`` without and with one. Raises ConfigError for another
    option, and for one without its value.
    """
    rest, options, queue = list[str](), dict[str, str](), list(words)
    while queue:
        word = queue.pop(0)
        name, equals, value = word.partition("=")
        if not word.startswith("-"):
            rest.append(word)
        elif name in flags and not equals:
            options[name] = ""
        elif name not in values:
            raise ConfigError(f"{word}: {verb} has no such option. {nearest(name, (*flags, *values))}")
        elif not equals and not queue:
            raise ConfigError(f"{name} needs a value.")
        else:
            options[name] = value if equals else queue.pop(0)
    return rest, options
