"""Checks of our own, beside those of Schemathesis."""

import re

import schemathesis

# Fields whose valid value may still be refused with 400, because no JSON Schema can say what is wrong with it. Everything
# else that is refused although the document allows it is a failure.
UNSAYABLE = {
    r"\?after": "a cursor must be one that this server gave",
    r"ends_at|until": "depends on the moment, and excludes duration_s",
    r"image": "excludes os",
    r"allow_from\[\d+\]": "an address may have no bits beyond its prefix",
    r"ssh_public_keys\[\d+\]": "base64 comes in groups of four, of which only the last may end in =",
    r"provider|overlays\[\d+\]\.provider": "which clouds are configured is not the document's",
    r"overlays\[\d+\]\.off\.(percent|per_hour)": "the document's writer knows no limits of an enum's word: it says them in prose",
    r"kind": "which forms of key a cloud has is for its driver to say",
    r"setup": "the limit is in bytes, and together with the public keys",
    r"options\.files\..*": "the limit is in bytes",
    r"fields": "at least one field beside provider, label and kind",
    r"scope": "names a lane that was used, or a team with users",
    r"label": "a user has 100 tokens at most, a team 100 keys",
}


@schemathesis.check
def valid_data_is_refused_only_for_what_no_schema_can_say(ctx, response, case):
    if response.status_code != 400 or not case.meta or not case.meta.generation.mode.is_positive:
        return
    problem = response.json()
    # To JSON Schema 59.0 is an integer. Here it is not: whoever sends it has computed it, and where the result is not
    # whole he wants to be told by the first try and not by the one that happens to come out at 59.5.
    if problem["errors"] and problem["errors"][0]["message"].endswith("not a fraction"):
        return
    fields = [error["field"] for error in problem["errors"]]
    # Sent empty although it has a pattern and a least length: an optional header's way of being left out, for the
    # tool. Here an empty one is refused: whoever meant a version must not change just any.
    if fields == ["If-Match"] and not (case.headers or {}).get("If-Match"):
        return
    # Which fields a key has beside its provider, label and kind is for the cloud's driver to say, so the document lets any in.
    if problem["type"].endswith(":unknown-field") and case.path.endswith("/keys"):
        return
    strange = [field for field in fields if not any(re.fullmatch(known, field) for known in UNSAYABLE)]
    assert fields and not strange, f"{strange or 'nothing'} refused although the document allows it: {problem['detail']}"


@schemathesis.check
def every_problem_is_one_that_the_document_names(ctx, response, case):
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == ["application/problem+json"], response.headers["content-type"]
    problem = response.json()
    code = problem["type"].removeprefix("urn:infra:problem:")
    if code == "method-not-allowed":  # No operation: another method of a known path.
        return
    answer = case.operation.definition.raw["responses"].get(str(response.status_code), {})
    assert code in answer.get("x-infra-codes", []), f"{response.status_code} {code} is not documented here"
    assert problem["status"] == response.status_code
    assert problem["request_id"] == response.headers["x-request-id"][0]
