"""The Price List and the spot market, which moto does not have.

moto answers the Price List with an error and invents a spot history (0.00001, of
2006). This part of moto_strict.py answers both in the shapes of the real ones,
signatures and policies checked like any other call's, and can be told to be as
bad as a real one on a bad day: `POST /moto-api/prices` with a JSON object of
SETTINGS (`GET` shows them).

Every type has the row that is paid, and around it, whatever was filtered for,
two that are not (of other tenancies, systems, software, capacity or regions), at
a tenth of the price, so that whoever takes one of them is seen to. Some types
have no price: zero (t2.nano), no term (t2.micro), only reserved terms (t2.small),
only another tenancy (t2.medium).
"""

import functools
import hashlib
import json
import time
from datetime import datetime, timedelta, timezone

from moto import settings as moto_settings
from moto.core.authorization import ActionAuthenticatorMixin
from moto.core.exceptions import AccessDeniedError
from moto.core.responses import ActionResult
from moto.ec2.models.instance_types import INSTANCE_TYPES
from moto.ec2.responses.spot_instances import SpotInstances
from moto.iam.access_control import IAMRequest
from moto.moto_api._internal import urls as control_urls
from moto.moto_server.werkzeug_app import DomainDispatcherApplication
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Request, Response

TARGET = "AWSPriceListService.GetProducts"
ACCOUNT = "123456789012"

SETTINGS = {
    "mode": "ok",  # or throttled, error, half, hang, empty
    "calls": ["GetProducts", "DescribeSpotPriceHistory"],  # which of them the mode is of
    "after": 0,  # so many calls of each are answered well first
    "hang_s": 6.0,
    "factor": 1.0,  # all prices, times this
}
MODES = ("ok", "throttled", "error", "half", "hang", "empty")
COUNTS = {}
GP3 = 0.08


def change(new):
    unknown = sorted(set(new) - set(SETTINGS))
    if unknown or new.get("mode", "ok") not in MODES:
        raise ValueError(f"unknown settings {unknown} or mode; known are {sorted(SETTINGS)} and {MODES}")
    SETTINGS.update(new)
    COUNTS.clear()


def serve_settings(request, full_url, headers):
    if request.method == "POST":
        try:
            change(json.loads(request.data))
        except (ValueError, TypeError, AttributeError) as error:
            return 400, {}, json.dumps({"error": str(error)})
    return 200, {"Content-Type": "application/json"}, json.dumps(SETTINGS | {"answered": COUNTS})


def mode_of(call):
    COUNTS[call] = COUNTS.get(call, 0) + 1
    bad = call in SETTINGS["calls"] and COUNTS[call] > SETTINGS["after"]
    return SETTINGS["mode"] if bad else "ok"


# ---------------------------------------------------------------- prices


def on_demand(name):
    """US dollars per hour: of no truth, but of the order of the real ones."""
    facts = INSTANCE_TYPES[name]
    hours = facts["VCpuInfo"]["DefaultVCpus"] * 0.04 + facts["MemoryInfo"]["SizeInMiB"] / 1024 * 0.005
    return round(hours * SETTINGS["factor"], 4)


def share(name, zone):
    """Between a quarter and three quarters of the list price, for ever the same."""
    return 0.25 + hashlib.sha256(f"{name} {zone}".encode()).digest()[0] / 512


def spot(name, zone):
    return round(on_demand(name) * share(name, zone), 4)


def term(code, price, currency, unit="Hrs"):
    dimension = {
        "unit": unit,
        "beginRange": "0",
        "endRange": "Inf",
        "appliesTo": [],
        "rateCode": f"{code}.6YS6EN2CT7",
        "description": f"{price:.10f} per {unit}",
        "pricePerUnit": {currency: f"{price:.10f}"},
    }
    return {
        f"SKU.{code}": {
            "sku": "SKU",
            "offerTermCode": code,
            "effectiveDate": "2026-01-01T00:00:00Z",
            "termAttributes": {},
            "priceDimensions": {f"SKU.{code}.6YS6EN2CT7": dimension},
        }
    }


def product(family, attributes, terms):
    sku = hashlib.sha256(json.dumps(attributes, sort_keys=True).encode()).hexdigest()[:16].upper()
    return {
        "product": {"productFamily": family, "attributes": attributes, "sku": sku},
        "serviceCode": "AmazonEC2",
        "terms": terms,
        "version": "20261118",
        "publicationDate": "2026-11-18T21:04:33Z",
    }


RIGHT = {
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
    "marketoption": "OnDemand",
    "operatingSystem": "Linux",
    "licenseModel": "No License required",
    "operation": "RunInstances",
    "servicecode": "AmazonEC2",
}
WRONG = [
    {"tenancy": "Dedicated"},
    {"tenancy": "Host"},
    {"operatingSystem": "Windows"},
    {"preInstalledSw": "SQL Web"},
    {"capacitystatus": "UnusedCapacityReservation"},
    {"marketoption": "CapacityBlock"},
    {"regionCode": "xx-north-1"},
]


def rows_of(name, region):
    currency = "CNY" if region.startswith("cn-") else "USD"
    price = on_demand(name)
    reserved = {"Reserved": term("4NA7Y494T4", price * 0.6, currency)}
    attributes = RIGHT | {"instanceType": name, "regionCode": region}
    if name == "t2.nano":
        terms = {"OnDemand": term("JRTCKXETXF", 0, currency)}
    elif name == "t2.micro":
        terms = {}
    elif name == "t2.small":
        terms = reserved
    else:
        terms = {"OnDemand": term("JRTCKXETXF", price, currency)} | reserved
    cheap = {"OnDemand": term("JRTCKXETXF", price / 10, currency)}
    at = hashlib.sha256(name.encode()).digest()[0]
    yield product("Compute Instance", attributes | WRONG[at % len(WRONG)], cheap)
    if name != "t2.medium":
        yield product("Compute Instance", attributes, terms)
    yield product("Compute Instance", attributes | WRONG[(at + 1) % len(WRONG)], cheap)


def products(filters, types_of):
    region = filters.get("regionCode", "us-east-1")
    if filters.get("productFamily") == "Storage":
        currency = "CNY" if region.startswith("cn-") else "USD"
        volume = {"volumeApiName": "gp3", "regionCode": region}
        return [product("Storage", volume, {"OnDemand": term("JRTCKXETXF", GP3 * SETTINGS["factor"], currency, "GB-Mo")})]
    return [row for name in types_of() for row in rows_of(name, region)]


@functools.lru_cache(maxsize=8)
def documents(filters, names, factor):
    """Pages of one answer are made once; the factor is read by whoever makes them."""
    return [json.dumps(row) for row in products(dict(filters), lambda: names)]


# ---------------------------------------------------------------- GetProducts


def refused(status, kind, message):
    body = json.dumps({"__type": kind, "message": message})
    return Response(body, status, {"x-amzn-ErrorType": kind}, content_type="application/x-amz-json-1.1")


def checked(request, body):
    """Signature and policy, as moto checks every call that it knows; `None` when all is well."""
    if ActionAuthenticatorMixin.request_count < moto_settings.INITIAL_NO_AUTH_ACTION_COUNT:
        ActionAuthenticatorMixin.request_count += 1
        return None
    try:
        asked = IAMRequest(ACCOUNT, "POST", request.path, {}, body, dict(request.headers), "GetProducts")
        asked.check_signature()
        asked.check_action_permitted("*")
        return None
    except AccessDeniedError as no:
        return refused(400, "AccessDeniedException", no.message)
    except HTTPException as no:
        return refused(403, "UnrecognizedClientException", getattr(no, "message", "bad signature"))


def get_products(request, types_of):
    body = request.get_data()
    no = checked(request, body)
    if no is not None:
        return no
    ask = json.loads(body)
    filters = {one["Field"]: one["Value"] for one in ask.get("Filters", [])}
    mode = mode_of("GetProducts")
    if mode == "throttled":
        return refused(400, "ThrottlingException", "Rate exceeded")
    if mode == "error":
        return refused(500, "InternalErrorException", "An error on the server occurred")
    if mode == "hang":
        time.sleep(SETTINGS["hang_s"])
    rows = documents(tuple(sorted(filters.items())), tuple(types_of()), SETTINGS["factor"])
    rows = [] if mode == "empty" else rows
    size = min(int(ask.get("MaxResults", 100)), 100)
    begin = int(ask.get("NextToken") or 0)
    answer = {"FormatVersion": "aws_v1", "PriceList": rows[begin : begin + size]}
    if begin + size < len(rows):
        answer["NextToken"] = str(begin + size)
    text = json.dumps(answer)
    if mode == "half":
        text = text[: len(text) // 2]
    return Response(text, 200, content_type="application/x-amz-json-1.1")


def patch_price_list(types_of):
    dispatch = DomainDispatcherApplication.__call__

    def call(app, environ, start_response):
        if environ.get("HTTP_X_AMZ_TARGET") == TARGET:
            return get_products(Request(environ), types_of)(environ, start_response)
        return dispatch(app, environ, start_response)

    DomainDispatcherApplication.__call__ = call


# ---------------------------------------------------------------- spot


def patch_spot(types_of, error_of):
    def describe(self):
        mode = mode_of("DescribeSpotPriceHistory")
        if mode == "throttled":
            raise error_of("RequestLimitExceeded", "Request limit exceeded.")
        if mode in ("error", "half"):
            raise error_of("InternalError", "An internal error has occurred")
        if mode == "hang":
            time.sleep(SETTINGS["hang_s"])
        known = self.ec2_backend.describe_spot_price_history(self._get_param("InstanceTypes", []), {})
        listed = set() if mode == "empty" else set(types_of())
        offered = [(one["InstanceType"], one["Location"]) for one in known if one["InstanceType"] in listed]
        wanted = self._get_param("ProductDescriptions", [])
        now = datetime.now(timezone.utc)
        rows = []
        for name, zone in sorted(offered):
            price = spot(name, zone)
            for about, cost, age_h in [("Linux/UNIX", price * 3, 30), ("Linux/UNIX", price, 2), ("Windows", price / 10, 1)]:
                if not wanted or about in wanted:
                    rows.append(
                        {
                            "InstanceType": name,
                            "ProductDescription": about,
                            "SpotPrice": f"{cost:.6f}",
                            "AvailabilityZone": zone,
                            "Timestamp": (now - timedelta(hours=age_h)).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
                        }
                    )
        size = min(int(self._get_param("MaxResults", 1000) or 1000), 1000)
        begin = int(self._get_param("NextToken") or 0)
        answer = {"SpotPriceHistory": rows[begin : begin + size]}
        if begin + size < len(rows):
            answer["NextToken"] = str(begin + size)
        return ActionResult(answer)

    SpotInstances.describe_spot_price_history = describe


def patch(types_of, error_of):
    patch_price_list(types_of)
    patch_spot(types_of, error_of)
    control_urls.url_paths["{0}/moto-api/prices"] = serve_settings
