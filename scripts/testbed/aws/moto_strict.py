"""moto's AWS emulator with the behaviours that make the real EC2 dangerous.

Plain moto forgives what EC2 punishes: it ignores launch tokens, changes states
at once and shows a machine in every listing the moment it exists. Code that
passes against it can still buy twice or leak on the real cloud. This file
patches moto in memory; nothing on disk is changed.

    python moto_strict.py -H 127.0.0.1 -p 15000

What it adds (each patch below says why):
  tokens      RunInstances ClientToken: replay, IdempotentParameterMismatch,
              IdempotentInstanceTerminated, one scope per zone
  states      pending, stopping, shutting-down take time; wrong moves are refused
  visibility  listings and filters show a new machine late; look-ups by id only
              just after creation; terminated machines vanish after a while
  subnets     one of another zone than the one named is refused
  groups      a security group in use cannot be deleted
  key pairs   look-up and deletion by id
  EMR         clusters take time to start and to end
  denials     a policy's no to an EC2 call is UnauthorizedOperation
  catalogue   may be cut to the smallest types: all 1,395 take seconds to answer
  prices      the Price List, and a spot market that could be one (prices.py)

Settings in seconds (but for a number of types), from the environment or `POST /moto-api/strict` with a JSON
object (`GET` shows them; `POST /moto-api/reset` forgets the world, not them):
see SETTINGS. The lags of visibility may be set for one `region` alone.
"""

import copy
import json
import math
import os
import sys
import threading
import time
from urllib.parse import quote, urlencode

# moto reads these while it is imported.
for validation in (
    "MOTO_ENABLE_AMI_VALIDATION",
    "MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION",
    "MOTO_ENABLE_KEYPAIR_VALIDATION",
):
    os.environ.setdefault(validation, "1")

from moto.core.exceptions import AccessDeniedError  # noqa: E402
from moto.core.responses import ActionResult  # noqa: E402
from moto.ec2 import utils as ec2_utils  # noqa: E402
from moto.ec2.exceptions import (  # noqa: E402
    DependencyViolationError,
    EC2ClientError,
    InvalidInstanceIdError,
)
from moto.ec2.models import instances as ec2_instances  # noqa: E402
from moto.ec2.models.instance_types import (  # noqa: E402
    INSTANCE_TYPES,
    InstanceTypeBackend,
    InstanceTypeOfferingBackend,
)
from moto.ec2.models.instances import InstanceBackend  # noqa: E402
from moto.ec2.models.security_groups import SecurityGroupBackend  # noqa: E402
from moto.ec2.responses.instances import InstanceResponse  # noqa: E402
from moto.ec2.responses.key_pairs import KeyPairs  # noqa: E402
from moto.ec2.responses.tags import TagResponse  # noqa: E402
from moto.emr import models as emr  # noqa: E402
from moto.iam.access_control import IAMRequest, IAMRequestBase  # noqa: E402
from moto.moto_api._internal import urls as control_urls  # noqa: E402
from moto.server import main  # noqa: E402

import prices  # noqa: E402

SETTINGS = {
    "STRICT_LAUNCH_S": 0.0,  # RunInstances takes this much longer (plain moto: 9 ms)
    "STRICT_BOOT_S": 0.0,  # pending until running
    "STRICT_STOP_S": 0.0,  # stopping until stopped, shutting-down until terminated
    "STRICT_LIST_LAG_S": 0.0,  # a new machine is missing from listings and filters
    "STRICT_ID_LAG_S": 0.0,  # a new machine is NotFound by id
    "STRICT_GONE_SHOWN_S": 60.0,  # a terminated machine can still be seen
    "STRICT_TAG_DECAY_S": 0.0,  # a terminated machine loses its tags, evenly over this time; 0: never
    "STRICT_TOKEN_KEPT_S": 86400.0,  # a token is remembered this long after its machines ended
    "STRICT_EMR_S": 0.0,  # EMR: starting until waiting, terminating until terminated
    "STRICT_TYPES_MAX": 0.0,  # a count: so many types are listed, the smallest first; 0: all
}


# What a region has of its own, by region.
REGIONAL = {}


def setting(name, region=None):
    return REGIONAL.get(region, {}).get(name, SETTINGS[name])


def change_settings(new):
    """All or nothing, so that a misspelt name cannot pass for a switched-on behaviour.

    With a `region` among them they hold there alone: a test can say when a lag ends, whatever the others want.
    """
    new = dict(new)
    region = new.pop("region", None)
    unknown = sorted(set(new) - set(SETTINGS))
    if unknown:
        raise ValueError(f"unknown settings {unknown}; known are {sorted(SETTINGS)}")
    values = {name: float(value) for name, value in new.items()}
    if not all(0 <= value < math.inf for value in values.values()):
        raise ValueError("settings are numbers: finite and not negative")
    (SETTINGS if region is None else REGIONAL.setdefault(region, {})).update(values)


def serve_settings(request, full_url, headers):
    """`/moto-api/strict`: one server can serve tests that need different clouds."""
    if request.method == "POST":
        try:
            change_settings(json.loads(request.data))
        except (ValueError, TypeError, AttributeError) as error:
            return 400, {}, json.dumps({"error": str(error)})
    return 200, {"Content-Type": "application/json"}, json.dumps(SETTINGS)


# ---------------------------------------------------------------- states

CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

# The way to a goal leads through another state, for so long.
THROUGH = {
    "running": ("pending", "STRICT_BOOT_S"),
    "stopped": ("stopping", "STRICT_STOP_S"),
    "terminated": ("shutting-down", "STRICT_STOP_S"),
}


class SlowState:
    """What moto sets is the goal; what callers read lags behind it."""

    def __init__(self, name="pending", code=0):
        self.goal, self.since = name, time.monotonic()
        self.born = self.since

    @property
    def name(self):
        through, delay = THROUGH.get(self.goal, (self.goal, None))
        return through if delay and self.age() < setting(delay) else self.goal

    @name.setter
    def name(self, goal):
        if goal != self.goal:
            self.goal, self.since = goal, time.monotonic()

    @property
    def code(self):
        return CODES[self.name]

    @code.setter
    def code(self, _):
        """moto sets name and code one after the other; the name decides."""

    def age(self):
        return time.monotonic() - self.since

    def terminated_for(self):
        """Seconds since the state became `terminated`; negative while it has not."""
        return self.age() - setting("STRICT_STOP_S") if self.goal == "terminated" else -1.0

    def __copy__(self):
        """moto copies a state to answer with the previous one: that must not move on."""
        return FrozenState(self.name)


class FrozenState:
    def __init__(self, name):
        self.name, self.code = name, CODES[name]


def refuse(instance, verb):
    raise EC2ClientError(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {verb}.",
    )


class Move:
    """A state change that callers ask for.

    EC2 answers a repeated call with success (current state = previous state,
    from `done`) and refuses a move out of the states in `refused`.
    """

    def __init__(self, operation, member, done, refused, participle):
        self.operation, self.member, self.participle = operation, member, participle
        self.done, self.refused = set(done), set(refused)


MOVES = (
    Move("start_instances", "StartingInstances", ("pending", "running"), ("stopping", "shutting-down", "terminated"), "started"),
    Move("stop_instances", "StoppingInstances", ("stopping", "stopped"), ("pending", "shutting-down", "terminated"), "stopped"),
    Move("terminate_instances", "TerminatingInstances", ("shutting-down", "terminated"), (), "terminated"),
)


def refuse(instance, move):
    raise EC2ClientError(
        "IncorrectInstanceState",
        f"The instance '{instance.id}' is not in a state from which it can be {move.participle}.",
    )


def strict_move(move, moto_change):
    """Checks every id and every state before it touches one machine: EC2 fails such a batch whole."""

    def change_one(backend, instance):
        if instance.state in move.done:
            return instance, FrozenState(instance.state)
        # moto's own method still enforces the stop and termination protection.
        return moto_change(backend, [instance.id])[0]

    def change(backend, instance_ids):
        instances = backend.get_multi_instances_by_id(instance_ids)
        for instance in instances:
            if instance.state in move.refused:
                refuse(instance, move)
        return [change_one(backend, one) for one in instances] if instances else moto_change(backend, instance_ids)

    return change


def honest_answer(move, moto_answer):
    """moto answers with a fixed current state, even for a machine that ended long ago."""

    def answer(self):
        result = moto_answer(self)
        for row in result.result[move.member]:
            if row["PreviousState"].name in move.done:
                row["CurrentState"] = row["PreviousState"]
        return result

    return answer


def patch_states():
    ec2_instances.InstanceState = SlowState
    for move in MOVES:
        change, answer = getattr(InstanceBackend, move.operation), getattr(InstanceResponse, move.operation)
        setattr(InstanceBackend, move.operation, strict_move(move, change))
        setattr(InstanceResponse, move.operation, honest_answer(move, answer))


# ---------------------------------------------------------------- visibility


def age(instance):
    return time.monotonic() - instance._state.born


def gone(instance):
    return instance._state.terminated_for() > setting("STRICT_GONE_SHOWN_S")


def decay_tags(instance):
    """EC2 takes the tags of a terminated machine away gradually: a tag is no proof of ownership then."""
    span, ended = setting("STRICT_TAG_DECAY_S"), instance._state.terminated_for()
    tags = instance.ec2_backend.tags.get(instance.id)
    if not span or ended < 0 or not tags:
        return
    total = instance.__dict__.setdefault("_strict_tags_at_end", len(tags))
    keep = max(0, math.ceil(total * (1 - ended / span)))
    for key in list(tags)[keep:]:
        tags.pop(key, None)


def only(reservations, wanted):
    """Copies of the reservations with the wanted machines; a reservation without any is left out."""
    kept = []
    for reservation in reservations:
        reservation = copy.copy(reservation)
        reservation.instances = [one for one in reservation.instances if wanted(one)]
        if reservation.instances:
            kept.append(reservation)
    return kept


def listed(instance):
    return age(instance) >= setting("STRICT_LIST_LAG_S", instance.ec2_backend.region_name)


def check_ids_are_known(backend, ids):
    """By id a machine is NotFound only for a moment after its creation, while listings lag for long."""
    young = [
        one.id
        for reservation in backend.reservations.copy().values()
        for one in reservation.instances
        if one.id in ids and age(one) < setting("STRICT_ID_LAG_S", backend.region_name)
    ]
    if young:
        raise InvalidInstanceIdError(young)


def after_id_check(moto_method):
    def method(backend, ids, filters=None):
        check_ids_are_known(backend, ids)
        return moto_method(backend, ids, filters)

    return method


def patch_machine_visibility():
    all_reservations = InstanceBackend.all_reservations
    describe_instance_status = InstanceBackend.describe_instance_status

    def without_gone(backend, filters=None):
        """Everything in moto that looks for machines comes through here."""
        reservations = only(all_reservations(backend), lambda one: not gone(one))
        for reservation in reservations:
            for instance in reservation.instances:
                decay_tags(instance)
        return reservations if filters is None else ec2_utils.filter_reservations(reservations, filters)

    def late_listing(backend, filters=None):
        return only(backend.all_reservations(filters), listed)

    def late_status(backend, instance_ids, include_all_instances, filters):
        found = describe_instance_status(backend, instance_ids, include_all_instances, filters)
        return found if instance_ids else [one for one in found if listed(one)]

    InstanceBackend.all_reservations = without_gone
    InstanceBackend.describe_instances = late_listing
    InstanceBackend.describe_instance_status = late_status
    for lookup in ("get_multi_instances_by_id", "get_reservations_by_instance_ids"):
        setattr(InstanceBackend, lookup, after_id_check(getattr(InstanceBackend, lookup)))


def patch_tag_visibility():
    create_tags, describe_tags = TagResponse.create_tags, TagResponse.describe_tags

    def create_after_id_check(self):
        check_ids_are_known(self.ec2_backend, self._get_param("Resources", []))
        return create_tags(self)

    def late_tags(self):
        """DescribeTags is a listing too: without this it would be a way around the lag."""
        self.ec2_backend.all_reservations()  # lets tags decay
        reservations = self.ec2_backend.reservations.copy().values()
        hidden = {one.id for each in reservations for one in each.instances if gone(one) or not listed(one)}
        result = describe_tags(self)
        result.result["Tags"] = [tag for tag in result.result["Tags"] if tag["resource_id"] not in hidden]
        return result

    TagResponse.create_tags, TagResponse.describe_tags = create_after_id_check, late_tags


def patch_filters():
    """Plain moto answers 500 to these."""
    ec2_utils.filter_dict_attribute_mapping["client-token"] = "client_token"
    ec2_utils.filter_dict_attribute_mapping["instance-lifecycle"] = "lifecycle"


# ---------------------------------------------------------------- launch tokens

class Launch:
    """What a token bought: the body it was first sent with, the answer, the machines."""

    def __init__(self, body, reservation):
        self.body, self.reservation = body, reservation
        self.instances = list(reservation.instances)

    def ended(self):
        return any(one._state.goal == "terminated" for one in self.instances)

    def forgotten(self):
        kept = setting("STRICT_TOKEN_KEPT_S")
        return all(one._state.terminated_for() > kept for one in self.instances)


def zone_of(response):
    """A token counts per zone when the request names a zone or a subnet, else per region."""
    zone = response._get_param("Placement.AvailabilityZone")
    nics = response._get_param("NetworkInterfaces", [])
    subnet = response._get_param("SubnetId") or next((nic["SubnetId"] for nic in nics if "SubnetId" in nic), None)
    return response.ec2_backend.get_subnet(subnet).availability_zone if subnet else zone


def check_zone(response):
    """EC2 refuses a subnet of another zone than the one named; moto takes the subnet's."""
    named, meant = response._get_param("Placement.AvailabilityZone"), zone_of(response)
    if named and meant != named:
        raise EC2ClientError(
            "InvalidParameterValue",
            f"Value ({named}) for parameter availabilityZone is invalid. The subnet is in {meant}.",
        )


def body_of(response):
    return sorted(
        (name, str(value))
        for name, value in response.querystring.items()
        if name not in ("ClientToken", "Action", "Version")
    )


def replay(launch, body):
    if launch.body != body:
        raise EC2ClientError(
            "IdempotentParameterMismatch",
            "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).",
        )
    if launch.ended():
        raise EC2ClientError(
            "IdempotentInstanceTerminated",
            "The request to launch an instance uses the same client token as a previous request"
            " for which the instance has been terminated.",
        )
    return ActionResult(launch.reservation)


def patch_tokens():
    moto_run = InstanceResponse.run_instances

    def launch(self):
        """EC2 launches up to MaxCount, and this cloud never runs out; moto looks at MinCount alone."""
        time.sleep(setting("STRICT_LAUNCH_S"))
        self.params["MinCount"] = self._get_param("MaxCount", self._get_param("MinCount", 1))
        return moto_run(self)

    def run_instances(self):
        token = self._get_param("ClientToken")
        if self._get_bool_param("DryRun", False):
            return moto_run(self)
        check_zone(self)
        if not token:
            self.params["ClientToken"] = ""  # moto would invent one
            return launch(self)
        # Kept in the backend: one per account and region, and emptied by a reset.
        seen = self.ec2_backend.__dict__.setdefault("_strict_launches", {})
        locks = self.ec2_backend.__dict__.setdefault("_strict_launching", {})
        key, body = (zone_of(self), token), body_of(self)
        # Two sends of one token that overlap must not both launch.
        with locks.setdefault(key, threading.Lock()):
            if key in seen and not seen[key].forgotten():
                return replay(seen[key], body)
            result = launch(self)
            seen[key] = Launch(body, result.result)
            return result

    InstanceResponse.run_instances = run_instances


# ---------------------------------------------------------------- security groups


def holds_group(instance, group_id):
    """A machine lets go of its groups when it is terminated, not while it is shutting down."""
    if instance.state == "terminated":
        return False
    groups = list(instance.security_groups)
    for nic in instance.nics.values():
        groups.extend(nic.group_set)
    return any(group.id == group_id for group in groups)


def loose_interface_holds_group(nic, group_id):
    return nic.instance is None and any(group.id == group_id for group in nic.group_set)


def patch_group_deletion():
    moto_delete = SecurityGroupBackend._delete_security_group

    def delete(backend, vpc_id, group_id):
        machines = [one for each in backend.all_reservations() for one in each.instances]
        used = any(holds_group(one, group_id) for one in machines)
        if used or any(loose_interface_holds_group(nic, group_id) for nic in backend.enis.copy().values()):
            raise DependencyViolationError(f"resource {group_id} has a dependent object")
        return moto_delete(backend, vpc_id, group_id)

    SecurityGroupBackend._delete_security_group = delete


# ---------------------------------------------------------------- EMR


def emr_state(goal, seconds):
    span = setting("STRICT_EMR_S")
    if goal == "WAITING" and seconds < span:
        return "STARTING" if seconds < span / 2 else "BOOTSTRAPPING"
    return "TERMINATING" if goal == "TERMINATED" and seconds < span else goal


def patch_emr():
    """A cluster is the dearest thing one call can buy; moto has it ready at once."""

    def get(cluster):
        goal, since = cluster.__dict__.get("_strict_goal", ("STARTING", time.monotonic()))
        return emr_state(goal, time.monotonic() - since)

    def put(cluster, goal):
        cluster.__dict__["_strict_goal"] = (goal, time.monotonic())

    emr.Cluster.state = property(get, put)


def patch_group_check():
    """EC2 refuses a machine whose interface names an unknown group; moto launches it without one."""
    moto_run = InstanceResponse.run_instances

    def run_instances(self):
        for nic in self._get_param("NetworkInterfaces", []):
            for group_id in nic.get("Groups") or []:
                if not self.ec2_backend.get_security_group_from_id(group_id):
                    raise EC2ClientError("InvalidGroup.NotFound", f"The security group '{group_id}' does not exist")
        return moto_run(self)

    InstanceResponse.run_instances = run_instances


# ---------------------------------------------------------------- key pairs


def patch_key_pair_ids():
    """EC2 looks key pairs up and deletes them by id, too; moto ignores the id and answers success."""
    describe, delete = KeyPairs.describe_key_pairs, KeyPairs.delete_key_pair

    def names_of(backend, ids):
        names = {pair.id: name for name, pair in backend.key_pairs.items()}
        unknown = [one for one in ids if one not in names]
        return [names[one] for one in ids if one in names], unknown

    def describe_by_id(self):
        names, unknown = names_of(self.ec2_backend, self._get_param("KeyPairIds", []))
        if unknown:
            raise EC2ClientError("InvalidKeyPair.NotFound", f"The key pair '{unknown[0]}' does not exist")
        if names:
            self.params["KeyNames"] = names
        return describe(self)

    def delete_by_id(self):
        key_id = self._get_param("KeyPairId")
        if key_id:
            names, _ = names_of(self.ec2_backend, [key_id])
            # EC2 answers success for a key pair that is not there.
            self.params["KeyName"] = names[0] if names else ""
        return delete(self)

    KeyPairs.describe_key_pairs, KeyPairs.delete_key_pair = describe_by_id, delete_by_id


# ---------------------------------------------------------------- catalogue


def size_of(type_name):
    facts = INSTANCE_TYPES[type_name]
    return facts["VCpuInfo"]["DefaultVCpus"], facts["MemoryInfo"]["SizeInMiB"], type_name


BY_SIZE = sorted(INSTANCE_TYPES, key=size_of)


def patch_catalogue():
    """A region that has few types answers fast, for tests that read the catalogue at every start."""
    types, offerings = InstanceTypeBackend.describe_instance_types, InstanceTypeOfferingBackend.describe_instance_type_offerings

    def few(found):
        most = int(setting("STRICT_TYPES_MAX"))
        shown = set(BY_SIZE[:most])
        return [one for one in found if one["InstanceType"] in shown] if most else found

    def few_types(backend, instance_types=None, filters=None):
        found = types(backend, instance_types, filters)
        # Asked for by name, a type is known: what was launched must stay explicable.
        return found if instance_types else few(found)

    def few_offerings(backend, location_type=None, filters=None):
        return few(offerings(backend, location_type, filters))

    InstanceTypeBackend.describe_instance_types = few_types
    InstanceTypeOfferingBackend.describe_instance_type_offerings = few_offerings


def listed_types():
    most = int(setting("STRICT_TYPES_MAX"))
    return BY_SIZE[:most] if most else BY_SIZE


# ---------------------------------------------------------------- permissions


def patch_denials():
    """EC2 has its own word for a call that a policy forbids; moto uses the word of the other services."""
    moto_raise = IAMRequest._raise_access_denied

    def raise_denied(self):
        try:
            moto_raise(self)
        except AccessDeniedError as denied:
            if self._service == "ec2":
                denied.description = denied.description.replace("AccessDenied", "UnauthorizedOperation")
            raise

    IAMRequest._raise_access_denied = raise_denied


def patch_signatures():
    """moto signs a form anew and writes a space as `+`; a client may as well write `%20`, as Rust's SDK does."""
    moto_signature = IAMRequestBase._calculate_signature

    def signature(self):
        first = moto_signature(self)
        if self._body or first in self._headers["Authorization"]:
            return first
        self._body = urlencode(self._data, doseq=True, quote_via=quote, safe="").encode()
        return moto_signature(self)

    IAMRequestBase._calculate_signature = signature


def patch_moto():
    patch_states()
    patch_machine_visibility()
    patch_tag_visibility()
    patch_filters()
    patch_group_check()
    patch_tokens()
    patch_group_deletion()
    patch_key_pair_ids()
    patch_emr()
    patch_catalogue()
    patch_denials()
    patch_signatures()
    prices.patch(listed_types, EC2ClientError)
    control_urls.url_paths["{0}/moto-api/strict"] = serve_settings


if __name__ == "__main__":
    change_settings({name: os.environ[name] for name in SETTINGS if name in os.environ})
    patch_moto()
    main(sys.argv[1:])
