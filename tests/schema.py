"""Holds what the program prints as JSON to doc/json.md: no key without a row, no row without a key, no
value of another type.
"""
import functools
import pathlib
import re

DOCUMENT = pathlib.Path(__file__).resolve().parent.parent / "doc" / "json.md"
TYPES = {
    "text": lambda v: isinstance(v, str), "integer": lambda v: type(v) is int, "bool": lambda v: isinstance(v, bool),
    "number": lambda v: v is None or type(v) in (int, float), "time": lambda v: type(v) in (int, float) and v >= 0,
    "object": lambda v: isinstance(v, dict), "list": lambda v: isinstance(v, list), "any": lambda v: v is not None,
}


def _rows(section):
    found = re.findall(r"^\| `([^`]+)` \| ([a-z]+)(, optional)? \| .*\|$", section, re.M)
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    assert len(found) == len(lines), f"a row of doc/json.md cannot be read: {lines}"
    return {path: (kind, bool(optional)) for path, kind, optional in found}


@functools.lru_cache(maxsize=1)
def schemas():
    """{schema: {path: (type, optional)}}; what a schema takes from another one is in it."""
    parts = re.split(r"^## (anode\.\w+/\d+)$", DOCUMENT.read_text(), flags=re.M)
    tables = {name: _rows(section) for name, section in zip(parts[1::2], parts[2::2])}
    job = {path.removeprefix("jobs[]."): row for path, row in tables["anode.status/1"].items() if path.startswith("jobs[].")}
    device = {path: row for path, row in tables["anode.devices/1"].items() if path.startswith("devices[].")}
    tables["anode.jobs/1"].update({f"jobs[].{path}": row for path, row in job.items()})
    tables["anode.job/1"].update(job)
    tables["anode.check/1"].update(device)
    return tables


def _children(table, path):
    """Rows one step below path: {step: (type, optional)}; steps are keys, "*" or "[]"."""
    found = {}
    for other, row in table.items():
        if path and not other.startswith(path):
            continue
        rest = other[len(path):]
        step = re.fullmatch(r"\[\]|\.?(\w+|\*)", rest)
        if step and (path or not rest.startswith(".")):
            found[step[1] or "[]"] = row
    return found


def _walk(table, path, value, seen):
    if isinstance(value, list):
        entry = _children(table, path).get("[]")
        for one in value:
            seen.add(f"{path}[]")
            if entry:
                if not TYPES[entry[0]](one):
                    yield f"{path}[]: {one!r} is no {entry[0]}"
            elif not isinstance(one, dict):
                yield f"{path}[]: {one!r} is not documented"
            yield from _walk(table, f"{path}[]", one, seen)
    elif isinstance(value, dict):
        rows = _children(table, path)
        for key, (_, optional) in rows.items():
            if key not in value and not optional and key != "*" and key != "[]":
                yield f"{path}.{key}: is documented and absent"
        for key, one in value.items():
            row = rows.get(key) or rows.get("*")
            step = key if key in rows else "*"
            below = f"{path}.{step}" if path else step
            seen.add(below)
            if not row:
                yield f"{below.replace('*', key)}: is not documented"
                continue
            if not TYPES[row[0]](one):
                yield f"{below}: {one!r} is no {row[0]}"
            yield from _walk(table, below, one, seen)


def complaints(document, schema):
    """What is wrong with a parsed document that should be of a schema."""
    if document.get("schema") != schema:
        return [f"schema is {document.get('schema')!r}, not {schema!r}"]
    return [f"{schema}: {c}" for c in _walk(schemas()[schema], "", document, set())]
