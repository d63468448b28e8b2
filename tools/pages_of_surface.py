"""Make the pages that tell what is seen from outside: errors, settings, commands, metrics, the HTTP API."""

import inspect
import json
from collections.abc import Iterator
from typing import Any, Final, get_args, get_origin

import click
import msgspec

from dastak import cli
from dastak.api import problems
from dastak.api.endpoint_table import ENDPOINTS
from dastak.api.openapi import document
from dastak.commands import doctor
from dastak.commands.explain_error import error_pages, error_titles
from dastak.config import Settings
from dastak.config_pages import attributes, json_schema
from dastak.config_read import is_section
from dastak.core.errors import DastakError
from dastak.telemetry.metrics import COUNTERS, GAUGES, TOTALS, Metrics, Table
from tools.markdown import code, join, table

ANSWERED_BY: Final = (
    "An error of the API is `application/problem+json` by RFC 9457. `code` is stable: decide by it, never "
    "by the sentence. `dastak explain CODE` prints the same without a network."
)


def errors() -> str:
    """Make the page of errors: one section a code."""
    titles, statuses = error_titles(), _statuses()
    sections = []
    for name, page in sorted(error_pages().items()):
        status = f"HTTP {statuses[name]}" if name in statuses else "At the command line only"
        causes = "\n".join(f"- {cause}" for cause in page.causes)
        sections.append(
            join(f"## `{name}`", f"**{titles[name]}.** {status}.", causes, f"What to do: {page.fix}")
        )
    return join("# Errors", ANSWERED_BY, *sections)


def settings() -> str:
    """Make the page of settings."""
    return join(
        "# Settings",
        "One TOML file and the environment; command line before environment before file before default. A "
        "setting `a.b` is `DASTAK__A__B` in the environment. An unknown one is an error. Secrets have no "
        "default and are never shown. `dastak config show --origin` prints what is used and where it came "
        "from, `dastak config sample` a commented file.",
        *_sections(Settings, ""),
    )


def commands() -> str:
    """Make the page of the command line, from the commands themselves."""
    exits = [(str(exit_code.value), exit_code.name.lower()) for exit_code in cli.Exit]
    return join(
        "# The command line",
        "Data goes to standard output, everything else to standard error.",
        table(("exit code", "meaning"), exits),
        *_command(cli.cli, "dastak"),
    )


def checks() -> str:
    """Make the page of the doctor's checks, each with a heading the doctor's links lead to."""
    rows = [(doctor.READABLE, doctor.READABLE_TITLE, doctor.READABLE_WHY)]
    rows += [(check.name, check.title, check.why) for check in doctor.CHECKS]
    return join(
        "# What the doctor looks for",
        "`dastak doctor` says of each what is wrong, why it matters and the command that mends it; "
        "`--fix` does what is safe, `--json` prints the same for programs.",
        *(join(f"## {name}", f"Well when {title}.", f"Otherwise: {why}.") for name, title, why in rows),
    )


def metrics() -> str:
    """Make the page of metrics."""
    histograms = [
        (code(family.name), family.documentation, code("route"))
        for family in Metrics().collect()
        if family.type == "histogram"
    ]
    return join(
        "# Metrics",
        "In the Prometheus text format. No label holds a number, a key or an id.",
        "## Counters",
        table(("name", "meaning", "labels"), [*_figures(COUNTERS, "_total"), *_figures(TOTALS, "_total")]),
        "## Histograms",
        table(("name", "meaning", "labels"), histograms),
        "## Gauges",
        table(("name", "meaning", "labels"), _figures(GAUGES, "")),
    )


def _figures(figures: Table, suffix: str) -> list[tuple[str, str, str]]:
    return [
        (code(f"{name}{suffix}"), meaning, ", ".join(map(code, labels)))
        for name, (meaning, labels) in figures.items()
    ]


def http_api() -> str:
    """Make the page of the HTTP API."""
    described = document(ENDPOINTS)
    rows = [
        (
            code(f"{endpoint.method} {endpoint.path}"),
            endpoint.summary,
            code(endpoint.scope),
            str(endpoint.status),
        )
        for endpoint in ENDPOINTS
    ]
    return join(
        "# The HTTP API",
        "Send `Authorization: Bearer KEY` and JSON. Every POST takes an `Idempotency-Key`: the same request"
        " with the same key gets the first answer again and changes nothing. Errors are in "
        "[errors.md](errors.md); the whole contract is [openapi.json](../openapi.json), and `dastak dev` "
        "has an explorer for it.",
        table(("endpoint", "does", "scope", "answers"), rows),
        "## Records",
        *(_record(name, schema) for name, schema in sorted(described["components"]["schemas"].items())),
    )


def openapi() -> str:
    """Make the OpenAPI document."""
    return json.dumps(document(ENDPOINTS), indent=2, ensure_ascii=False)


def _statuses() -> dict[str, int]:
    statuses = {name: status for name, (status, _, _) in problems.HTTP.items()}
    statuses |= {str(reason): status for reason, (status, _, _) in problems.CLOSED.items()}
    for kind in _kinds(DastakError):
        # An error that only the command line can give is not the API's, though it would be answered with 500.
        if kind.__module__ == DastakError.__module__:
            statuses[kind.code] = next(
                problems.STATUS[above] for above in kind.__mro__ if above in problems.STATUS
            )
    return statuses


def _kinds(kind: type[DastakError]) -> Iterator[type[DastakError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)


def _sections(kind: Any, path: str) -> Iterator[str]:
    schemas = json_schema()["$defs"]
    told = attributes(kind)
    own, below = [], []
    for field in msgspec.structs.fields(kind):
        many = get_origin(field.type) is dict
        section = get_args(field.type)[1] if many else field.type
        if is_section(section):
            below.append((section, f"{path}{field.name}." + ("NAME." if many else "")))
        else:
            schema = schemas[kind.__name__]["properties"][field.name]
            # A word of a list is shown as that list: a page of settings has no section for it.
            schema = schemas[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
            default = "(none: it must be set)" if field.required else _default(field.default)
            own.append((code(field.name), _range(schema), default, told.get(field.name, "")))
    summary = schemas.get(kind.__name__, {}).get("description", "")
    if own:
        yield join(
            f"## `[{path.rstrip('.')}]`", summary, table(("setting", "values", "default", "meaning"), own)
        )
    for section, deeper in below:
        yield from _sections(section, deeper)


def _default(value: Any) -> str:
    if value is None or value is msgspec.UNSET:
        return ""
    return code(json.dumps(msgspec.to_builtins(value, enc_hook=str), ensure_ascii=False))


def _range(schema: dict[str, Any]) -> str:
    """Say in words what a JSON Schema allows."""
    if "anyOf" in schema:
        return " or ".join(_range(choice) for choice in schema["anyOf"] if choice.get("type") != "null")
    if "enum" in schema:
        return ", ".join(code(choice) for choice in schema["enum"])
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if schema.get("type") == "array":
        return f"list of {_range(schema.get('items', {}))}"
    bounds = [
        f"{word} {schema[key]}"
        for key, word in (
            ("minimum", "from"),
            ("exclusiveMinimum", "above"),
            ("maximum", "to"),
            ("minLength", "from"),
            ("maxLength", "to"),
        )
        if key in schema
    ]
    unit = ["characters"] if "minLength" in schema or "maxLength" in schema else []
    return " ".join([str(schema.get("format") or schema.get("type", "any")), *bounds, *unit])


def _record(name: str, schema: dict[str, Any]) -> str:
    docstring = schema.get("description", "")
    summary = docstring.partition("\n\n")[0]
    if "properties" not in schema:
        return join(f"### {name}", summary, _range(schema))
    # What the record's own docstring says of its fields, for those that say nothing themselves.
    told = attributes(type(name, (), {"__doc__": docstring}))
    rows = [
        (
            code(field),
            _range(described) + (" or null" if _nullable(described) else ""),
            "always" if field in schema.get("required", []) else "",
            _meaning(described) or told.get(field, ""),
        )
        for field, described in schema["properties"].items()
    ]
    return join(f"### {name}", summary, table(("field", "values", "present", "meaning"), rows))


def _meaning(schema: dict[str, Any]) -> str:
    inner = (choice.get("description", "") for choice in schema.get("anyOf", []))
    return str(schema.get("description") or next(filter(None, inner), ""))


def _nullable(schema: dict[str, Any]) -> bool:
    return any(choice.get("type") == "null" for choice in schema.get("anyOf", []))


def _command(command: click.Command, path: str) -> Iterator[str]:
    """Write one command, then the ones below it."""
    context = click.Context(command, info_name=path)
    options = [
        (code(", ".join((*parameter.opts, *parameter.secondary_opts))), parameter.help or "")
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
    ]
    usage = " ".join([path, *command.collect_usage_pieces(context)])
    yield join(
        f"## `{path}`",
        inspect.cleandoc(command.help or ""),
        f"```text\n{usage}\n```",
        table(("option", "meaning"), options) if options else "",
    )
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from _command(below, f"{path} {name}")
