"""Proves every behaviour that moto_strict.py and fault_proxy.py promise.

    .testbed/aws/venv/bin/python scripts/testbed/aws/selftest.py

Starts its own servers on free ports and ends them. One function per law, named
after it; each begins in an emptied world. Exits 1 when a law fails.
"""

import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

HERE = pathlib.Path(__file__).resolve().parent
AMI = "ami-12c6146b"
LAWS = []


def law(function):
    LAWS.append(function)
    return function


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


MOTO, PROXY, CONTROL = free_port(), free_port(), free_port()


def http_json(port, method, path, body=None):
    data = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    # Without a type urllib says "form", and moto then hands its own paths an empty body.
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=20) as reply:
        return json.loads(reply.read())


def settings(region=None, **values):
    new = {f"STRICT_{name.upper()}": value for name, value in values.items()}
    http_json(MOTO, "POST", "/moto-api/strict", new | ({"region": region} if region else {}))


def control(method, path, body=None):
    return http_json(CONTROL, method, path, body)


def client(service="ec2", port=None, region="us-east-1", key="free", secret="free"):
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port or MOTO}",
        region_name=region,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}, read_timeout=10),
    )


def empty_world():
    http_json(MOTO, "POST", "/moto-api/reset-auth", b"inf")
    http_json(MOTO, "POST", "/moto-api/reset")
    settings(launch_s=0, boot_s=0, stop_s=0, list_lag_s=0, id_lag_s=0, gone_shown_s=60, tag_decay_s=0, token_kept_s=86400, emr_s=0, types_max=0)
    http_json(MOTO, "POST", "/moto-api/prices", {"mode": "ok", "after": 0, "factor": 1.0})
    control("POST", "/reset")


def run(ec2, token="token", **changes):
    asked = {"ImageId": AMI, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, "ClientToken": token}
    return ec2.run_instances(**{**asked, **changes})


def run_id(ec2, token="token", **changes):
    return run(ec2, token, **changes)["Instances"][0]["InstanceId"]


def machines(ec2, **query):
    return [one for each in ec2.describe_instances(**query)["Reservations"] for one in each["Instances"]]


def ids(ec2, *filters):
    return {one["InstanceId"] for one in machines(ec2, Filters=[{"Name": n, "Values": [v]} for n, v in filters])}


def state(ec2, machine):
    return machines(ec2, InstanceIds=[machine])[0]["State"]["Name"]


def refused(code, call, *args, **kwargs):
    try:
        call(*args, **kwargs)
    except ClientError as error:
        assert error.response["Error"]["Code"] == code, f"{error.response['Error']} instead of {code}"
        return
    raise AssertionError(f"succeeded instead of {code}")


def lost(call, *args, **kwargs):
    """The call ended without an answer, as on a broken connection."""
    try:
        call(*args, **kwargs)
    except ClientError as error:
        raise AssertionError(f"answered {error}") from error
    except BotoCoreError:
        return
    raise AssertionError("answered")


def eventually(condition, within_s=5.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


CREATE = {"operation": "RunInstances"}


def arm(at, then, match=CREATE, **more):
    return control("POST", "/rules", {"match": match, "at": at, "then": then, **more})["ids"][0]


def fired(count=1):
    found = control("GET", f"/fired?count={count}&wait_s=10")["fired"]
    assert len(found) >= count, f"fired: {found}"
    return found


# ---------------------------------------------------------------- launch tokens


@law
def same_token_and_body_replay_the_same_answer():
    ec2 = client()
    first, second = run(ec2, MaxCount=2), run(ec2, MaxCount=2)
    assert first["ReservationId"] == second["ReservationId"]
    assert [one["InstanceId"] for one in first["Instances"]] == [one["InstanceId"] for one in second["Instances"]]
    assert len(machines(ec2)) == 2


@law
def overlapping_sends_of_one_token_launch_once():
    """The proxy gathers the sends of one token and lets them go together."""
    settings(launch_s=0.1)
    clients, found = [client(port=PROXY) for _ in range(6)], set()
    for round_, token in enumerate("ab"):
        arm("before_forward", "hold", times=len(clients))
        sends = [threading.Thread(target=lambda ec2=ec2: found.add(run_id(ec2, token))) for ec2 in clients]
        for send in sends:
            send.start()
        fired(len(clients) * (round_ + 1))
        control("POST", "/release")
        for send in sends:
            send.join()
    assert len(found) == 2 and len(machines(client())) == 2


@law
def same_token_with_another_body_is_a_mismatch():
    ec2 = client()
    run(ec2)
    refused("IdempotentParameterMismatch", run, ec2, InstanceType="t3.small")
    refused("IdempotentParameterMismatch", run, ec2, UserData="drifted")
    assert len(machines(ec2)) == 1


@law
def same_token_in_another_zone_launches_a_second_machine():
    ec2 = client()
    zones = [{"AvailabilityZone": f"us-east-1{letter}"} for letter in "ab"]
    first, second = (run_id(ec2, Placement=zone) for zone in zones)
    assert first != second
    assert run_id(ec2, Placement=zones[0]) == first


@law
def a_subnet_scopes_a_token_to_its_zone():
    ec2 = client()
    subnets = ec2.describe_subnets()["Subnets"]
    assert run_id(ec2, SubnetId=subnets[0]["SubnetId"]) != run_id(ec2, SubnetId=subnets[1]["SubnetId"])


@law
def a_subnet_of_another_zone_than_the_one_named_is_refused():
    ec2 = client()
    subnets = ec2.describe_subnets()["Subnets"]
    run_id(ec2, SubnetId=subnets[0]["SubnetId"], Placement={"AvailabilityZone": subnets[0]["AvailabilityZone"]})
    other = next(one for one in subnets if one["AvailabilityZone"] != subnets[0]["AvailabilityZone"])
    placement = {"AvailabilityZone": subnets[0]["AvailabilityZone"]}
    refused("InvalidParameterValue", run_id, ec2, SubnetId=other["SubnetId"], Placement=placement)


@law
def a_token_without_a_zone_counts_for_its_region_only():
    east, west = client(), client(region="us-west-2")
    image = west.describe_images()["Images"][0]["ImageId"]
    assert run_id(east, ImageId=image) == run_id(east, ImageId=image)
    assert run_id(west, ImageId=image) != run_id(east, ImageId=image)


@law
def the_token_of_a_terminated_machine_says_so():
    ec2 = client()
    ec2.terminate_instances(InstanceIds=[run_id(ec2)])
    refused("IdempotentInstanceTerminated", run, ec2)


@law
def a_token_outlives_the_sight_of_its_machine_but_not_for_ever():
    ec2 = client()
    settings(gone_shown_s=0, token_kept_s=0.5)
    first = run_id(ec2)
    ec2.terminate_instances(InstanceIds=[first])
    time.sleep(0.05)
    assert not machines(ec2)
    refused("IdempotentInstanceTerminated", run, ec2)
    time.sleep(0.5)
    assert run_id(ec2) != first


@law
def a_refused_launch_leaves_its_token_free():
    ec2 = client()
    refused("InvalidAMIID.NotFound", run, ec2, ImageId="ami-deadbeef")
    run(ec2)


@law
def the_client_token_is_shown_and_can_be_searched():
    ec2 = client()
    wanted, _ = run_id(ec2, "one"), run_id(ec2, "two")
    assert machines(ec2, InstanceIds=[wanted])[0]["ClientToken"] == "one"
    assert ids(ec2, ("client-token", "one")) == {wanted}


# ---------------------------------------------------------------- states


@law
def a_machine_boots_for_a_while():
    ec2 = client()
    settings(boot_s=0.4)
    answer = run(ec2)["Instances"][0]
    assert answer["State"]["Name"] == "pending"
    refused("IncorrectInstanceState", ec2.stop_instances, InstanceIds=[answer["InstanceId"]])
    eventually(lambda: state(ec2, answer["InstanceId"]) == "running")


@law
def a_stopping_machine_cannot_be_started():
    ec2 = client()
    settings(stop_s=0.4)
    machine = run_id(ec2)
    assert ec2.stop_instances(InstanceIds=[machine])["StoppingInstances"][0]["CurrentState"]["Name"] == "stopping"
    assert state(ec2, machine) == "stopping"
    refused("IncorrectInstanceState", ec2.start_instances, InstanceIds=[machine])
    eventually(lambda: state(ec2, machine) == "stopped")
    assert ec2.start_instances(InstanceIds=[machine])["StartingInstances"][0]["CurrentState"]["Name"] == "pending"
    assert state(ec2, machine) == "running"


@law
def a_machine_is_shutting_down_before_it_is_terminated():
    ec2 = client()
    settings(stop_s=0.4)
    machine = run_id(ec2)
    ec2.terminate_instances(InstanceIds=[machine])
    assert state(ec2, machine) == "shutting-down"
    refused("IncorrectInstanceState", ec2.start_instances, InstanceIds=[machine])
    refused("IncorrectInstanceState", ec2.stop_instances, InstanceIds=[machine])
    eventually(lambda: state(ec2, machine) == "terminated")


@law
def terminating_twice_succeeds_and_tells_the_truth():
    ec2 = client()
    machine = run_id(ec2)
    ec2.terminate_instances(InstanceIds=[machine])
    again = ec2.terminate_instances(InstanceIds=[machine])["TerminatingInstances"][0]
    assert again["CurrentState"]["Name"] == again["PreviousState"]["Name"] == "terminated"


@law
def one_bad_id_fails_the_whole_termination():
    ec2 = client()
    machine = run_id(ec2)
    refused("InvalidInstanceID.NotFound", ec2.terminate_instances, InstanceIds=[machine, "i-0123456789abcdef0"])
    assert state(ec2, machine) == "running"


# ---------------------------------------------------------------- visibility


@law
def listings_and_filters_show_a_new_machine_late():
    ec2 = client()
    settings(list_lag_s=3600)
    tags = [{"ResourceType": "instance", "Tags": [{"Key": "owner", "Value": "me"}]}]
    machine = run_id(ec2, TagSpecifications=tags)
    searches = ((), (("tag:owner", "me"),), (("client-token", "token"),))
    assert all(not ids(ec2, *search) for search in searches)
    assert not ec2.describe_tags()["Tags"]
    assert not ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
    assert state(ec2, machine) == "running"
    settings(list_lag_s=0)
    assert all(ids(ec2, *search) == {machine} for search in searches)
    assert ec2.describe_tags()["Tags"]


@law
def by_id_a_machine_is_unknown_only_just_after_creation():
    ec2 = client()
    settings(id_lag_s=3600)
    machine = run_id(ec2)
    refused("InvalidInstanceID.NotFound", state, ec2, machine)
    refused("InvalidInstanceID.NotFound", ec2.terminate_instances, InstanceIds=[machine])
    refused("InvalidInstanceID.NotFound", ec2.create_tags, Resources=[machine], Tags=[{"Key": "a", "Value": "b"}])
    settings(id_lag_s=0)
    assert state(ec2, machine) == "running"


@law
def a_lag_of_one_region_is_none_of_another():
    here, there = client(region="eu-west-3"), client(region="eu-west-2")
    settings("eu-west-3", id_lag_s=3600, list_lag_s=3600)
    refused("InvalidInstanceID.NotFound", state, here, run_id(here))
    assert not machines(here)
    assert state(there, run_id(there)) == "running"
    settings("eu-west-3", id_lag_s=0, list_lag_s=0)
    assert len(machines(here)) == 1


@law
def a_terminated_machine_is_shown_for_a_while():
    ec2 = client()
    settings(gone_shown_s=3600)
    machine = run_id(ec2)
    ec2.terminate_instances(InstanceIds=[machine])
    assert state(ec2, machine) == "terminated"
    settings(gone_shown_s=0)
    assert not machines(ec2)
    refused("InvalidInstanceID.NotFound", state, ec2, machine)


@law
def a_terminated_machine_loses_its_tags_gradually():
    ec2 = client()
    settings(tag_decay_s=0.8)
    tags = [{"Key": str(number), "Value": "v"} for number in range(4)]
    machine = run_id(ec2, TagSpecifications=[{"ResourceType": "instance", "Tags": tags}])

    def shown():
        return len(machines(ec2, InstanceIds=[machine])[0].get("Tags", []))

    time.sleep(0.3)
    assert shown() == 4  # a living machine keeps them
    ec2.terminate_instances(InstanceIds=[machine])
    eventually(lambda: 0 < shown() < 4)
    eventually(lambda: shown() == 0)


# ---------------------------------------------------------------- the rest of the cloud


@law
def a_security_group_in_use_cannot_be_deleted():
    ec2 = client()
    settings(stop_s=2)
    group = ec2.create_security_group(GroupName="g", Description="d")["GroupId"]
    machine = run_id(ec2, SecurityGroupIds=[group])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    ec2.terminate_instances(InstanceIds=[machine])
    refused("DependencyViolation", ec2.delete_security_group, GroupId=group)
    eventually(lambda: state(ec2, machine) == "terminated")
    ec2.delete_security_group(GroupId=group)


@law
def a_key_pair_is_looked_up_and_deleted_by_its_id():
    ec2 = client()
    ours, other = (ec2.create_key_pair(KeyName=name)["KeyPairId"] for name in ("ours", "other"))
    seen = ec2.describe_key_pairs(KeyPairIds=[ours])["KeyPairs"]
    assert [one["KeyPairId"] for one in seen] == [ours], seen
    for _ in range(2):
        ec2.delete_key_pair(KeyPairId=ours)
    refused("InvalidKeyPair.NotFound", ec2.describe_key_pairs, KeyPairIds=[ours])
    assert [one["KeyPairId"] for one in ec2.describe_key_pairs()["KeyPairs"]] == [other]


@law
def an_unknown_group_on_an_interface_is_refused():
    nic = {"DeviceIndex": 0, "Groups": ["sg-0123456789abcdef0"]}
    refused("InvalidGroup.NotFound", run, client(), NetworkInterfaces=[nic])
    assert not machines(client())


@law
def unknown_images_types_and_keys_are_refused():
    ec2 = client()
    refused("InvalidAMIID.NotFound", run, ec2, ImageId="ami-deadbeef")
    refused("InvalidInstanceType.NotFound", run, ec2, InstanceType="zz.big")
    refused("InvalidKeyPair.NotFound", run, ec2, KeyName="nobody")
    assert not machines(ec2)


@law
def a_cluster_takes_time_to_start_and_to_end():
    service = client("emr")
    settings(emr_s=0.6)
    instances = {"MasterInstanceType": "m5.xlarge", "InstanceCount": 1, "KeepJobFlowAliveWhenNoSteps": True}
    cluster = service.run_job_flow(
        Name="c", ReleaseLabel="emr-6.15.0", Instances=instances, JobFlowRole="r", ServiceRole="s"
    )["JobFlowId"]

    def shown():
        return service.describe_cluster(ClusterId=cluster)["Cluster"]["Status"]["State"]

    for wanted in ("STARTING", "BOOTSTRAPPING", "WAITING"):
        eventually(lambda wanted=wanted: shown() == wanted)
    service.terminate_job_flows(JobFlowIds=[cluster])
    for wanted in ("TERMINATING", "TERMINATED"):
        eventually(lambda wanted=wanted: shown() == wanted)


@law
def a_cut_catalogue_lists_the_smallest_types_in_every_zone_and_can_launch_them():
    ec2 = client()

    def listed():
        pages = ec2.get_paginator("describe_instance_types").paginate()
        return {one["InstanceType"] for page in pages for one in page["InstanceTypes"]}

    def zoned():
        pages = ec2.get_paginator("describe_instance_type_offerings").paginate(LocationType="availability-zone")
        return {one["InstanceType"] for page in pages for one in page["InstanceTypeOfferings"]}

    settings(types_max=60)
    few = listed()
    assert len(few) == 60 and "t3.micro" in few and "m5.24xlarge" not in few, few
    assert zoned() <= few and "t3.micro" in zoned()
    assert run_id(ec2)
    [named] = ec2.describe_instance_types(InstanceTypes=["m5.24xlarge"])["InstanceTypes"]
    assert named["InstanceType"] == "m5.24xlarge"
    settings(types_max=0)
    assert len(listed()) > 1000


@law
def a_misspelt_setting_is_refused():
    for wrong in ({"STRICT_BOOTS_S": 1}, {"STRICT_BOOT_S": -1}, {"STRICT_BOOT_S": "soon"}):
        try:
            http_json(MOTO, "POST", "/moto-api/strict", wrong)
        except urllib.error.HTTPError as error:
            assert error.code == 400
        else:
            raise AssertionError(f"{wrong} was accepted")


def real_user(actions, name="tester"):
    """The three calls that moto answers before it starts to check: a user, its policy, its key."""
    http_json(MOTO, "POST", "/moto-api/reset-auth", b"3")
    iam = client("iam")
    iam.create_user(UserName=name)
    policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName=name)["AccessKey"]
    return {"key": key["AccessKeyId"], "secret": key["SecretAccessKey"]}


def check_authentication(port):
    user = real_user(["ec2:RunInstances", "ec2:DescribeInstances"])
    ec2 = client(port=port, **user)
    machine = run_id(ec2, UserData="a+b &c=%")
    assert ids(ec2) == {machine}
    refused("UnauthorizedOperation", ec2.terminate_instances, InstanceIds=[machine])
    refused("AuthFailure", client(port=port, key="AKIANOBODY", secret="x").describe_instances)
    refused("AuthFailure", client(port=port, key=user["key"], secret="x").describe_instances)
    refused("SignatureDoesNotMatch", client("sts", port=port, key=user["key"], secret="x").get_caller_identity)


@law
def signatures_and_policies_are_enforced():
    check_authentication(MOTO)


# ---------------------------------------------------------------- the fault proxy


@law
def signatures_survive_the_proxy():
    check_authentication(PROXY)


@law
def a_dropped_request_never_reaches_the_cloud():
    arm("before_forward", "drop")
    lost(run, client(port=PROXY))
    assert not machines(client())
    run(client(port=PROXY))  # one shot
    assert control("GET", "/log")["operations"]["RunInstances"] == {
        "arrived": 2, "forwarded": 1, "applied": 1, "answered": 1,
    }  # fmt: skip


@law
def a_lost_reply_leaves_a_machine_that_the_token_finds_again():
    arm("after_forward_hold_reply", "drop")
    lost(run, client(port=PROXY))
    [machine] = ids(client())
    assert run_id(client(port=PROXY)) == machine


@law
def a_connection_that_ends_after_the_reply_has_delivered_it():
    arm("after_reply_sent", "drop")
    machine = run_id(client(port=PROXY))
    assert fired()[0]["state"] == "dropped" and ids(client()) == {machine}


@law
def a_held_request_is_born_late():
    arm("before_forward", "hold")
    sender = threading.Thread(target=lambda: run(client(port=PROXY)))
    sender.start()
    assert fired()[0]["state"] == "held" and not machines(client())
    control("POST", "/release", {"then": "pass"})
    sender.join()
    assert len(machines(client())) == 1


@law
def a_held_reply_means_the_cloud_has_acted():
    arm("after_forward_hold_reply", "hold")
    sender = threading.Thread(target=lambda: lost(run, client(port=PROXY)))
    sender.start()
    entry = fired()[0]
    assert entry["state"] == "held" and len(machines(client())) == 1
    assert control("POST", "/release", {"id": entry["id"], "then": "drop"})["released"] == [entry["id"]]
    sender.join()


@law
def a_hold_has_a_limit():
    arm("before_forward", "hold", hold_s=0.2)
    lost(run, client(port=PROXY))
    assert fired()[0]["state"] == "dropped"


@law
def rules_count_skip_and_match():
    arm("before_forward", "drop", times=2, skip=1, match={"method": "POST", "body_regex": "Action=RunInstances.*t3.small"})
    ec2 = client(port=PROXY)
    run(ec2, "a")  # other body: not even counted
    run(ec2, "b", InstanceType="t3.small")  # skipped
    lost(run, ec2, "c", InstanceType="t3.small")
    lost(run, ec2, "d", InstanceType="t3.small")
    run(ec2, "e", InstanceType="t3.small")
    assert len(fired(2)) == 2 and len(machines(client())) == 3


THROTTLED = "<Response><Errors><Error><Code>RequestLimitExceeded</Code><Message>slow</Message></Error></Errors></Response>"


@law
def an_error_reply_can_hide_a_created_machine():
    ec2, reply = client(port=PROXY), {"status": 503, "body": THROTTLED}
    arm("before_forward", "reply", reply=reply)
    refused("RequestLimitExceeded", run, ec2)
    assert not machines(client())
    arm("after_forward_hold_reply", "reply", reply=reply)
    refused("RequestLimitExceeded", run, ec2)
    assert len(machines(client())) == 1


@law
def a_wrong_rule_is_refused():
    right = {"at": "before_forward", "then": "drop"}
    wrongs = ({"at": "later"}, {"then": "kill_pid"}, {"then": "kill_pid", "pid": 1}, {"times": 0}, {"tmies": 1}, {"match": {"path": "x"}}, {"match": {"body_regex": "("}})
    for wrong in wrongs:
        try:
            control("POST", "/rules", {**right, **wrong})
        except urllib.error.HTTPError as error:
            assert error.code == 400
        else:
            raise AssertionError(f"{wrong} was accepted")
    assert control("GET", "/rules")["rules"] == []


# A process that is killed in a window: it creates, then writes that it knows.
VICTIM = textwrap.dedent(
    """
    import sys, time
    sys.path.insert(0, {here!r})
    import selftest
    sys.stdin.readline()
    selftest.run(selftest.client(port={port}))
    print("answered", flush=True)
    time.sleep(30)
    """
)


def killed_in(window, **more):
    """Runs a victim until the proxy kills it; returns whether it knew the answer."""
    code = VICTIM.format(here=str(HERE), port=PROXY)
    victim = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    arm(window, "kill_pid", pid=victim.pid, **more)
    output, _ = victim.communicate("go\n", timeout=20)
    assert victim.returncode == -signal.SIGKILL
    [entry] = fired()
    assert entry["state"] == "killed" and entry["pid"] == victim.pid and entry["at"] == window
    return "answered" in output


def price_list(region="eu-west-1", **names):
    filters = [{"Type": "TERM_MATCH", "Field": name, "Value": value} for name, value in {"regionCode": region, **names}.items()]
    pages = client("pricing").get_paginator("get_products").paginate(ServiceCode="AmazonEC2", Filters=filters)
    return [json.loads(row) for page in pages for row in page["PriceList"]]


@law
def the_price_list_has_pages_and_rows_that_nobody_pays():
    settings(types_max=60)
    rows = price_list(tenancy="Shared")
    attributes = [row["product"]["attributes"] for row in rows]
    right = [one for one in attributes if one["tenancy"] == "Shared" and one["operatingSystem"] == "Linux" and one["regionCode"] == "eu-west-1"]
    assert len(rows) > 170 and {"Host", "Dedicated"} <= {one["tenancy"] for one in attributes}
    assert len({one["instanceType"] for one in right}) >= 58
    [disk] = price_list(productFamily="Storage", volumeApiName="gp3")
    assert next(iter(next(iter(disk["terms"]["OnDemand"].values()))["priceDimensions"].values()))["unit"] == "GB-Mo"
    assert "CNY" in json.dumps(price_list("cn-north-1"))


@law
def the_spot_market_is_of_today_and_differs_by_zone():
    rows = client(region="eu-west-1").describe_spot_price_history(InstanceTypes=["t3.large"], ProductDescriptions=["Linux/UNIX"])["SpotPriceHistory"]
    newest = {row["AvailabilityZone"]: row["SpotPrice"] for row in sorted(rows, key=lambda row: row["Timestamp"])}
    assert len(set(newest.values())) > 1 and len(rows) == 2 * len(newest)
    assert all(time.time() - row["Timestamp"].timestamp() < 2 * 86400 for row in rows)


@law
def a_bad_day_of_the_price_list_can_be_had():
    for mode, says in [("throttled", "ThrottlingException"), ("error", "InternalErrorException"), ("half", ""), ("empty", None)]:
        http_json(MOTO, "POST", "/moto-api/prices", {"mode": mode})
        try:
            assert price_list() == [] and says is None, mode
        except (ClientError, BotoCoreError, KeyError) as error:  # botocore reads half a document as an empty one
            assert says is not None and says in str(error), f"{mode}: {error}"


@law
def killed_before_the_request_left_nothing_exists():
    assert not killed_in("before_forward")
    assert not machines(client())


@law
def killed_while_the_reply_is_held_a_machine_exists_unknown():
    assert not killed_in("after_forward_hold_reply")
    assert len(machines(client())) == 1


@law
def killed_after_the_reply_a_machine_exists():
    killed_in("after_reply_sent")  # a race by nature: it may or may not have read the answer
    assert len(machines(client())) == 1


@law
def killed_some_time_after_the_reply_it_was_known():
    assert killed_in("after_reply_sent", delay_s=1)
    assert len(machines(client())) == 1


@law
def a_json_cloud_over_kept_connections_passes_too():
    """Our simulated cloud speaks JSON: the control API of the proxy stands in for it."""
    port, other_control = free_port(), free_port()
    second = subprocess.Popen([sys.executable, HERE / "fault_proxy.py", "--listen", str(port), "--control", str(other_control), "--upstream", str(CONTROL)])
    try:
        eventually(lambda: answers(other_control, "/health"))
        kept = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        for _ in range(3):
            kept.request("POST", "/rules?x=1", body=iter([b'{"at": "before_forward", ', b'"then": "drop"}']), encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
            assert kept.getresponse().read().startswith(b'{"ids"')
        assert http_json(other_control, "GET", "/log")["operations"] == {"POST /rules": dict.fromkeys(("arrived", "forwarded", "applied", "answered"), 3)}
    finally:
        second.kill()
        second.wait()


# ---------------------------------------------------------------- running


def answers(port, path):
    try:
        return bool(http_json(port, "GET", path))
    except OSError:
        return False


def script(name, *arguments):
    subprocess.run([HERE / name, *map(str, arguments)], check=True, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})


def obeyed(one):
    started = time.monotonic()
    try:
        empty_world()
        one()
        verdict = "ok"
    except Exception as error:  # a law may fail in any way
        verdict = f"FAILED: {type(error).__name__}: {error}"
    print(f"{one.__name__} ... {verdict} ({time.monotonic() - started:.1f} s)", flush=True)
    return verdict == "ok"


def main():
    wanted = [one for one in LAWS if len(sys.argv) < 2 or any(word in one.__name__ for word in sys.argv[1:])]
    try:
        script("start.sh", "moto", MOTO)
        script("start.sh", "proxy", PROXY, CONTROL, MOTO)
        passed = sum([obeyed(one) for one in wanted])
    finally:
        script("stop.sh", f"moto-{MOTO}", f"proxy-{PROXY}")
    failed = len(wanted) - passed
    print(f"LAWS contract=aws-testbed impl=moto-strict counterpart=boto3 passed={passed} failed={failed} skipped=0")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
