"""What the fuzzer checks and knows beyond the document: results of jobs, sessions, the resources there are."""

import os
import random
import re
import time

import jsonschema
import requests
import schemathesis

URL = os.environ["GANTRY_URL"]
API = f"{URL}/zstack/v1"
SESSION = {"Authorization": f"OAuth {os.environ['GANTRY_SESSION']}"}
DOCUMENT = requests.get(f"{URL}/openapi.json", timeout=30).json()
SCHEMAS = DOCUMENT["components"]["schemas"]

# How long a job may take before its result is not waited for: some wait for hosts that are not there.
PATIENCE_SECONDS = 5
# How often the resources are looked at anew, in calls.
LOOK_EVERY = 250
# Of the uuids in a call, how many are of resources that exist.
KNOWN_SHARE = 0.7
UUID = re.compile("[0-9a-f]{32}")
# The fuzzer keeps watch over the module's own generator.
CHANCE = random.Random(os.environ.get("FUZZ_SEED"))


def close(schemas):
    """Answers hold what they declare and nothing else."""
    for name, schema in schemas.items():
        if "properties" in schema and "Parameters" not in name:
            schema.setdefault("additionalProperties", False)


close(SCHEMAS)


@schemathesis.hook
def before_load_schema(context, raw_schema):
    close(raw_schema["components"]["schemas"])


class Resources:
    """The uuids of what exists, by the parameter that names it (`zoneUuid`) and by path (`/zones`)."""

    def __init__(self):
        self.queries = {}
        for path, item in DOCUMENT["paths"].items():
            for operation in item.get("get", {}).get("x-gantry-operations", []):
                if operation["name"].startswith("Query") and operation["x-gantry-status"] == "served" and "{" not in path:
                    name = operation["name"].removeprefix("Query")
                    self.queries[path] = name[0].lower() + name[1:] + "Uuid"
        self.known = {}
        self.calls = 0

    def look(self):
        for path, name in self.queries.items():
            answer = requests.get(f"{API}{path}", params={"limit": 100}, headers=SESSION, timeout=30)
            assert answer.status_code == 200, f"{path}: {answer.status_code} {answer.text}"
            uuids = [found["uuid"] for found in answer.json()["inventories"] if "uuid" in found]
            self.known[path] = self.known[name] = uuids

    def one(self, name, path):
        collection = path.split("/{")[0]
        known = self.known.get(name) or (self.known.get(collection) if name == "uuid" else None)
        return CHANCE.choice(known) if known and CHANCE.random() < KNOWN_SHARE else None

    def put_into(self, values, path):
        for name, value in list((values or {}).items()):
            if isinstance(value, str) and UUID.fullmatch(value):
                values[name] = self.one(name, path) or value
            elif isinstance(value, list) and name.endswith("Uuids"):
                values[name] = [self.one(name.removesuffix("s"), path) or item for item in value]
            elif isinstance(value, dict):
                self.put_into(value, path)


RESOURCES = Resources()


@schemathesis.hook
def before_call(context, case, kwargs):
    if RESOURCES.calls % LOOK_EVERY == 0:
        RESOURCES.look()
    RESOURCES.calls += 1
    for values in (case.path_parameters, case.query, case.body):
        if isinstance(values, dict):
            RESOURCES.put_into(values, case.path)


def member(case):
    """The operation that a call means, of those at its path."""
    operations = case.operation.definition.raw["x-gantry-operations"]
    keys = case.body if isinstance(case.body, dict) else {}
    named = [one for one in operations if any(key in keys for key in one.get("bodyKeys", [one.get("bodyKey")]))]
    return (named or operations or [None])[0]


def validate(value, reference):
    schema = {"$ref": reference, "components": DOCUMENT["components"]}
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError as error:
        raise AssertionError(f"{reference}: {error.json_path}: {error.message}") from None


@schemathesis.check
def job_result(context, response, case):
    """A job ends with what its operation declares, or with an error."""
    if response.status_code != 202 or "/api-jobs/{uuid}" in case.path:
        return
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        answer = requests.get(response.json()["location"], headers=SESSION, timeout=30)
        if answer.status_code == 200:
            return validate(answer.json(), member(case)["x-gantry-result"]["$ref"])
        if answer.status_code == 503:
            validate(answer.json(), "#/components/schemas/Error")
            code = answer.json()["error"]["code"]
            assert code != "SYS.1000", f"an internal error: {answer.text}"
            return
        assert answer.status_code == 202, f"{answer.status_code}: {answer.text}"
        time.sleep(0.02)


REFUSALS = {None: (400, "ID.1003"), "OAuth " + "0" * 32: (503, "ID.1001")}
GUARDED = set()


@schemathesis.check
def session_is_needed(context, response, case):
    """What needs a session does nothing without one, or with one that is not."""
    raw = case.operation.definition.raw
    if response.status_code not in (200, 202) or raw.get("security") == [] or case.operation.label in GUARDED:
        return
    request = response.request
    for authorization, expected in REFUSALS.items():
        headers = {name: value for name, value in request.headers.items() if name.lower() != "authorization"}
        headers = {name: value[0] if isinstance(value, list) else value for name, value in headers.items()}
        if authorization:
            headers["Authorization"] = authorization
        answer = requests.request(request.method, request.url, data=request.body, headers=headers, timeout=30)
        found = (answer.status_code, answer.json().get("error", {}).get("code"))
        assert found == expected, f"with the session {authorization}: {found} instead of {expected}"
    GUARDED.add(case.operation.label)
