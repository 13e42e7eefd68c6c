"""The clouds behind the fault proxy, and what is truly in them, read without the product.

A cloud answers: `things()`, every machine and satellite as a dict with `id`, `kind`, `alive`, `state`, `ours`,
and `raw` for comparing; `creates`, `power` and `end`, how the proxy knows those calls; and it makes machines by
hand, which nobody but the test may touch.
"""

import os
import sys
from pathlib import Path

from openstack import Nova
from parts import START_WITHIN_S, Cloud, FaultProxy, HttpServer, Process, free_ports, require, send, until

MOTO_PROGRAM = Path(__file__).resolve().parent.parent / "aws" / "moto_strict.py"


class Sim(Cloud):
    """The simulator, served by a process of its own and used by the server as a remote cloud."""

    name = "sim"
    end = {"operation": "POST /sim/api/terminate"}
    power = {word: [{"operation": f"POST /sim/api/power-{word}"}] for word in ("off", "on")}
    # Where the control API of its world is served.
    control = "/sim"
    # The call that makes one, by its operation and by what its frozen body makes.
    creates = {
        kind: {"operation": "POST /sim/api/launch", "body_regex": rf'"body":\{{"{kind}"'} for kind in ("machine", "firewall")
    }
    hand_made_running = "running"
    places = [("ada", "sim-east"), ("ada", "sim-ams"), ("bob", "sim-east"), ("bob", "sim-ams")]
    request = {"vcpus": 1, "provider": "sim"}
    regions = ["sim-east", "sim-ams"]
    lag_s = 0  # the truth never lags

    def __init__(self, binary, folder):
        self.server = HttpServer(binary, Path(folder) / "cloud", ["--sim-only"])
        self.hand_made = {}

    def start(self, folder):
        self.server.start()
        self.proxy = FaultProxy(folder, self.server.port)

    def server_arguments(self):
        return ["--cloud", f"sim=http://127.0.0.1:{self.proxy.port}"]

    @staticmethod
    def key(user):
        return {"provider": "sim", "kind": "static", "token": f"sim-{user}"}

    def ask(self, method, path, body=None):
        status, answer = send(self.server.url + path, method, body, self.server.admin_token())
        require(status in (200, 201, 204), f"the sim says {status} {answer} to {method} {path}")
        return answer

    @staticmethod
    def shown(identity):
        """A world's id as its API shows it."""
        return identity

    def make_by_hand(self):
        for number, (account, region) in enumerate(self.places):
            wish = {"account": account, "region": region, "name": f"by-hand-{number}", "tags": {"team": "lab"}}
            self.ask("POST", f"{self.control}/machines", wish)

    def things(self):
        found = []
        for raw in self.ask("GET", f"{self.control}/machines")["items"]:
            found.append({
                "id": self.shown(raw["id"]), "kind": raw["kind"], "alive": raw["ended_at"] is None, "state": raw["state"],
                "ours": not raw["by_hand"], "token": raw["made_under"], "raw": raw,
            })  # fmt: skip
        return found

    def stop(self):
        if hasattr(self, "proxy"):
            self.proxy.stop()
        self.server.stop()


class DigitalOcean(Sim):
    """DigitalOcean's API over a world of its own, in a process that outlives the server: no token, and off is a copy."""

    name = "digitalocean"
    control = "/digitalocean/sim"
    end = {"method": "DELETE", "path_regex": "^/digitalocean/v2/droplets/"}
    power = {
        # Turned off, copied, ended: each of the three is a call that may be lost.
        "off": [
            {"method": "POST", "path_regex": "/actions$", "body_regex": '"type":"(shutdown|power_off)"'},
            {"method": "POST", "path_regex": "/actions$", "body_regex": '"type":"snapshot"'},
            {"method": "DELETE", "path_regex": "^/digitalocean/v2/droplets/"},
        ],
        "on": [{"operation": "POST /digitalocean/v2/droplets"}],
    }
    creates = {
        "machine": {"operation": "POST /digitalocean/v2/droplets"},
        "firewall": {"operation": "POST /digitalocean/v2/firewalls"},
    }
    tokenless = off_is_copy = True
    reservations, powered, ended_under_fire, kills_per_window_min, late = 36, 9, 12, 10, 4
    regions = ["ams3", "nyc3"]
    places = [(user, region) for user in ("ada", "bob") for region in ("ams3", "nyc3")]
    request = {"vcpus": 1, "provider": "digitalocean"}
    # The world's longest lag is 3 s; a copy takes 3 to 8 s.
    visible_within_s, snapshot_within_s, unknown_hold_s = 4, 12, 8

    def __init__(self, binary, folder):
        super().__init__(binary, folder)
        self.folder = Path(folder)

    def tables(self):
        return f"""[clouds.digitalocean]
endpoint = "http://127.0.0.1:{self.proxy.port}/digitalocean"
regions = {self.regions!r}
simulated = true
visible_within_s = {self.visible_within_s}
snapshot_within_s = {self.snapshot_within_s}
"""

    @staticmethod
    def shown(identity):
        """DigitalOcean counts: the number stands before eight digits of noise."""
        return str(int(identity.rsplit("-", 1)[-1][:-8], 16))

    def server_arguments(self):
        return Cloud.server_arguments(self)

    @staticmethod
    def key(user):
        return {"provider": "digitalocean", "kind": "token", "token": f"sim-{user}"}


class Moto(Cloud):
    """The strict EC2 emulator; needs the interpreter of the AWS testbed, which has boto3."""

    name = "moto"
    end = {"operation": "TerminateInstances"}
    power = {"off": [{"operation": "StopInstances"}], "on": [{"operation": "StartInstances"}]}
    creates = {"machine": {"operation": "RunInstances"}, "firewall": {"operation": "CreateSecurityGroup"}}
    hand_made_running = "running"
    regions = ["us-east-1"]
    os, image = "ubuntu 16.04", "ami-12c6146b"
    request = {"vcpus": 1, "provider": "aws", "os": os}
    # The emulator's lags, and so the longest time after which it shows what it made; and few types, because each
    # start reads the catalogue anew.
    strict = {
        "STRICT_BOOT_S": "1", "STRICT_STOP_S": "1", "STRICT_LIST_LAG_S": "1.5", "STRICT_ID_LAG_S": "0.3",
        "STRICT_GONE_SHOWN_S": "3600", "STRICT_TYPES_MAX": "100",
    }  # fmt: skip
    visible_within_s = 5
    lag_s = 2  # the truth is its listing, too

    def __init__(self, binary, folder):
        del binary
        self.folder = Path(folder)
        self.by_hand = set()

    def start(self, folder):
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        arguments = [sys.executable, "-B", MOTO_PROGRAM, "-H", "127.0.0.1", "-p", self.port]
        self.process = Process(arguments, self.folder / "moto.log", dict(os.environ, **self.strict))
        until(lambda: send(f"{self.url}/moto-api/strict")[0] == 200, START_WITHIN_S, "the emulator does not answer")
        self.proxy = FaultProxy(folder, self.port)
        import boto3  # only here: the other half does without

        self.clients = {
            region: boto3.client(
                "ec2", region_name=region, endpoint_url=self.url, aws_access_key_id="truth", aws_secret_access_key="truth"
            )
            for region in self.regions
        }

    def tables(self):
        return f"""[clouds.aws]
endpoint = "http://127.0.0.1:{self.proxy.port}"
regions = {self.regions!r}
simulated = true
visible_within_s = {self.visible_within_s}
[[clouds.aws.images]]
os = "{self.os}"
owner = "099720109477"
pattern = "ubuntu/images/hvm-ssd/ubuntu-xenial-16.04-amd64-server-*"
arch = "x86_64"
"""

    @staticmethod
    def key(user):
        fields = {"access_key_id": f"AKIA{user.upper():X<16}", "secret_access_key": f"secret-of-{user}"}
        return {"provider": "aws", "kind": "static", **fields}

    def make_by_hand(self):
        # What the emulator's own images are made of.
        self.stock = {one["SnapshotId"] for client in self.clients.values() for one in self.snapshots(client)}
        for client in self.clients.values():
            group = client.create_security_group(GroupName="by-hand", Description="made by a person")["GroupId"]
            made = client.run_instances(
                ImageId=self.image, InstanceType="t3.micro", MinCount=2, MaxCount=2, SecurityGroupIds=[group],
                TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "team", "Value": "lab"}]}],
            )  # fmt: skip
            self.by_hand |= {group, *(one["InstanceId"] for one in made["Instances"])}
            # Every region has one from the start; it is as foreign as what people make.
            self.by_hand |= {one["GroupId"] for one in self.groups(client) if one["GroupName"] == "default"}

    @staticmethod
    def snapshots(client):
        return client.describe_snapshots(OwnerIds=["self"])["Snapshots"]

    @staticmethod
    def groups(client):
        pages = client.get_paginator("describe_security_groups").paginate()
        return [group for page in pages for group in page["SecurityGroups"]]

    def things(self):
        found = []

        def add(identity, kind, state, raw, of=()):
            found.append({
                "id": identity, "kind": kind, "alive": state != "terminated", "state": state,
                "ours": not self.by_hand & {identity, *of}, "raw": raw,
            })  # fmt: skip

        for client in self.clients.values():
            for page in client.get_paginator("describe_instances").paginate():
                for one in (one for reservation in page["Reservations"] for one in reservation["Instances"]):
                    add(one["InstanceId"], "machine", one["State"]["Name"], one)
            for group in self.groups(client):
                add(group["GroupId"], "firewall", "there", group)
            for pair in client.describe_key_pairs()["KeyPairs"]:
                add(pair["KeyPairId"], "key_pair", "there", pair)
            for volume in client.describe_volumes()["Volumes"]:
                of = [one["InstanceId"] for one in volume["Attachments"]]
                add(volume["VolumeId"], "volume", volume["State"], volume, of)
            for copy in self.snapshots(client):
                if copy["SnapshotId"] not in self.stock:
                    add(copy["SnapshotId"], "snapshot", copy["State"], copy)
            for address in client.describe_addresses()["Addresses"]:
                add(address["AllocationId"], "address", "there", address)
        return found

    def stop(self):
        for one in ("proxy", "process"):
            if hasattr(self, one):
                part = getattr(self, one)
                part.stop() if one == "proxy" else part.end()


BY_NAME = {"sim": Sim, "moto": Moto, "digitalocean": DigitalOcean, "nova": Nova}
