"""Annotations of Prometheus as summaries of rules: `{{ $labels.host }} is at {{ $value | humanize }}`."""

import re

from controlplane.model.rules import check_summary

_ACTION = re.compile(r"(?:\s*\{\{-\s|\{\{)(?P<text>.*?)(?:\s-\}\}\s*|\}\})", re.DOTALL)
_LABEL = re.compile(r"(?:\$labels|\.Labels)\.([a-zA-Z_][a-zA-Z0-9_]*)")
_VALUE = re.compile(r"(?:\$value|\.Value)(?:\s*\|\s*(?P<by>.+))?", re.DOTALL)
_PRINTF = re.compile(r'printf\s+"(?P<format>[^"\\]*)"(?P<value>\s+(?:\$value|\.Value))?')
_VERB = re.compile(r"(?P<before>(?:[^%{}]|%%)*)%(?:\.(?P<digits>[0-9]{1,2}))?(?P<verb>[feg])(?P<behind>(?:[^%{}]|%%)*)")
_FUNCTIONS = {
    "humanize": "{value:,.4g}",
    "humanize1024": "{value:,.4g}",
    "humanizePercentage": "{value:.2%}",
    "humanizeDuration": "{value:,.0f} s",
}
_RESERVED = {"value", "threshold"}
"""What a summary calls something else than a label."""


def summary(template: str) -> str | None:
    """The template with labels and value in the way of rules, on one line; None where it does more than that."""
    parts = []
    end = 0
    for found in _ACTION.finditer(template):
        filled = _action(found["text"].strip())
        if filled is None:
            return None
        parts += [_literal(template[end : found.start()]), filled]
        end = found.end()
    made = " ".join("".join([*parts, _literal(template[end:])]).split())
    try:
        check_summary(made, None)
    except ValueError:
        return None
    return made or None


def _literal(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}")


def _action(text: str) -> str | None:
    label = _LABEL.fullmatch(text)
    if label is not None:
        return None if label[1] in _RESERVED else f"{{{label[1]}}}"
    value = _VALUE.fullmatch(text)
    if value is None:
        return _printed(text, piped=False)
    how = (value["by"] or "").strip()
    return "{value}" if not how else _FUNCTIONS.get(how) or _printed(how, piped=True)


def _printed(text: str, *, piped: bool) -> str | None:
    call = _PRINTF.fullmatch(text)
    verb = _VERB.fullmatch(call["format"]) if call is not None and piped == (call["value"] is None) else None
    if verb is None:
        return None
    spec = (f".{verb['digits']}" if verb["digits"] else "") + verb["verb"]
    return verb["before"].replace("%%", "%") + f"{{value:{spec}}}" + verb["behind"].replace("%%", "%")
