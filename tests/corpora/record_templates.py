"""Records what Jinja makes of templates/*.jinja, in the environment that transformers sets up for chat templates.

Run: python tests/corpora/record_templates.py
Recorded with Jinja 3.1.6 and the settings of transformers 5.0 (trim_blocks, lstrip_blocks, loop controls, the
generation tag, json.dumps as tojson). Reads scenarios.json, writes renders.json beside itself: for each template and
scenario the text, or {"raised": message} for raise_exception, or {"failed": true} for any other error.
"""
import json
import pathlib
from datetime import datetime

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

HERE = pathlib.Path(__file__).parent
NOW = datetime(2025, 3, 9, 14, 5, 6)
# Templates that do not look at the messages: one scenario says it all.
ALIKE = {"dates", "filters", "tests", "whitespace"}

# Templates that print much of every message.
LONG = {"json", "printing", "scopes", "strings", "dict-tools"}
FEW = ["one", "call", "markup", "parts", "spaces", "unicode"]


class Raised(Exception):
    pass


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise Raised(message)


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


def outcome(template, variables):
    try:
        return template.render(**variables)
    except Raised as error:
        return {"raised": str(error)}
    except Exception as error:
        return {"failed": True}


if __name__ == "__main__":
    print("jinja", jinja2.__version__)
    scenarios = json.loads((HERE / "scenarios.json").read_text())
    renders = {}
    for path in sorted((HERE / "templates").glob("*.jinja")):
        template = environment().from_string(path.read_bytes().decode())
        names = ["one"] if path.stem in ALIKE else FEW if path.stem in LONG else scenarios
        renders[path.stem] = {name: outcome(template, scenarios[name]) for name in names}
        kinds = [type(each).__name__ if isinstance(each, str) else next(iter(each)) for each in renders[path.stem].values()]
        print(path.stem, {kind: kinds.count(kind) for kind in set(kinds)})
    out = HERE / "renders.json"
    out.write_text(json.dumps(renders, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(out.stat().st_size)
