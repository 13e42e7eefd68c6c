"""One server, three clouds at once: a machine on each, from saving the keys to the last thing that is gone.

    python three_clouds.py --binary PATH/TO/http-server

EC2 is the strict emulator, with keys and signatures checked; DigitalOcean is its fake in a process of its own;
OpenStack is a real control plane (see openstack.py for how it is found). What is there is read from each of them
without the product. Wrong keys, regions, images and sizes, and a quota that is reached, are typed problems that leave
nothing behind. Prints `COUNT three_clouds`; exit codes: 0 every promise held, 1 one did not (said on standard error).
"""

import argparse
import json
import os
import signal
import shutil
import sys
import tempfile
import threading
import time

from clouds import DigitalOcean, Moto
from openstack import Nova
from parts import Api, HttpServer, Violation, require, send, touched, until

WITHIN_S = 240
USER = "ada"
FROM = ["192.0.2.0/24"]
PUBLIC_KEY = Nova.request["ssh_public_keys"][0]
# What a person sees at the cloud when a machine is off: the state of what is left, per kind.
OFF = {
    "aws": {"machine": ["stopped"]},
    "digitalocean": {"snapshot": ["running"]},
    "lab": {"machine": ["SHUTOFF"]},
}
ON = {"aws": "running", "digitalocean": "running", "lab": "ACTIVE"}


class CheckedMoto(Moto):
    """Knows who is who: keys that it did not issue, and wrong signatures, are refused."""

    def start(self, folder):
        super().start(folder)
        import boto3

        iam = boto3.client(
            "iam", region_name="us-east-1", endpoint_url=self.url, aws_access_key_id="first", aws_secret_access_key="first"
        )
        everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
        self.keys = {}
        for name in ("truth", USER):
            iam.create_user(UserName=name)
            iam.put_user_policy(UserName=name, PolicyName="all", PolicyDocument=json.dumps(everything))
            self.keys[name] = iam.create_access_key(UserName=name)["AccessKey"]
        # After so many more calls, it checks.
        status, answer = send(f"{self.url}/moto-api/reset-auth", "POST", 0)
        require(status == 200, f"the emulator does not check keys: {status} {answer}")
        truth = self.keys["truth"]
        self.clients = {
            region: boto3.client(
                "ec2", region_name=region, endpoint_url=self.url, aws_access_key_id=truth["AccessKeyId"],
                aws_secret_access_key=truth["SecretAccessKey"],
            )  # fmt: skip
            for region in self.regions
        }

    def key(self, user):
        key = self.keys[user]
        fields = {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}
        return {"provider": "aws", "kind": "static", **fields}

    def plant(self):
        next(iter(self.clients.values())).create_key_pair(KeyName="planted")


class PlainDigitalOcean(DigitalOcean):
    def plant(self):
        headers = {"content-type": "application/json"}
        rule = {"protocol": "tcp", "ports": "22", "sources": {"addresses": FROM}}
        body = {"name": "planted", "inbound_rules": [rule], "outbound_rules": [], "tags": []}
        url = f"{self.server.url}/digitalocean/v2/firewalls"
        status, answer = send(url, "POST", body, f"sim-{USER}", headers)
        require(status in (201, 202), f"the fake made no firewall: {status} {answer}")


class PlainNova(Nova):
    def plant(self):
        token, _ = self.login(*[self.projects[USER][0]] * 2)
        body = {"security_group": {"name": "planted", "description": ""}}
        self.ask(f"{self.network}/v2.0/security-groups", "POST", body, token)


class Walk:
    """A user's way with all three, from the keys to nothing."""

    def __init__(self, clouds, server):
        self.clouds, self.server = clouds, server
        self.api = Api(server, USER)
        self.seconds = {name: {} for name in clouds}
        self.problems = 0
        self.started = time.monotonic()

    def say(self, text):
        print(f"three clouds: {text} ({time.monotonic() - self.started:.0f} s)", flush=True)

    # ------------------------------------------------------------ what is truly there

    def ours(self, name, alive=True):
        return [one for one in self.clouds[name].things() if one["ours"] and one["alive"] in (alive, True)]

    def states(self, name):
        """What is ours and there, but for what only stands around machines: states by kind."""
        found = {}
        for one in self.ours(name):
            if one["kind"] in ("machine", "snapshot"):
                found.setdefault(one["kind"], []).append(one["state"])
        return found

    def left(self):
        found = {name: [(one["kind"], one["id"], one["state"]) for one in self.ours(name)] for name in self.clouds}
        return {name: things for name, things in found.items() if things}

    def foreign(self):
        return {
            name: {one["id"]: one for one in cloud.things() if not one["ours"]} for name, cloud in self.clouds.items()
        }

    def remember_foreign(self):
        for name, cloud in self.clouds.items():
            def running(cloud=cloud):
                states = {one["state"] for one in cloud.things() if not one["ours"] and one["kind"] == "machine"}
                return states == {cloud.hand_made_running}

            until(running, WITHIN_S, f"the machines made by hand at {name} do not run")
        self.before = self.foreign()

    def foreign_untouched(self):
        now = self.foreign()
        self.touched = touched(
            {(name, one): seen for name, things in self.before.items() for one, seen in things.items()},
            {(name, one): seen for name, things in now.items() for one, seen in things.items()},
        )
        require(not self.touched, f"touched: {self.before} was, {now} is")

    # ------------------------------------------------------------ what is refused

    def refused(self, answer, code, *words):
        """A typed problem: its type, its status, an id to ask about, and words that name what was wrong."""
        status, problem = answer
        good = isinstance(problem, dict) and problem.get("type") == f"urn:infra:problem:{code}"
        require(good and problem["status"] == status and problem["request_id"], f"{code} was due, not {answer}")
        said = json.dumps(problem).lower()
        require(all(word.lower() in said for word in words), f"{words} are due in {problem}")
        self.problems += 1

    def wrong_keys(self):
        for key in (
            {**self.clouds["aws"].key(USER), "secret_access_key": "x" * 40},
            {**self.clouds["aws"].key(USER), "access_key_id": "AKIAXXXXXXXXXXXXXXXX"},
            {"provider": "digitalocean", "kind": "token", "token": "dop_v1_wrong"},
            {**self.clouds["lab"].key(USER), "password": "wrong"},
        ):
            self.refused(self.api.call("POST", "/keys", key), "invalid-credentials", key["provider"])
        status, keys = self.api.call("GET", "/keys")
        require(status == 200 and keys["items"] == [], f"a wrong key was kept: {keys}")

    def wrong_requests(self):
        for name, cloud in self.clouds.items():
            for code, wrong, word in (
                ("unknown-region", {"region": "atlantis"}, "atlantis"),
                ("unknown-image", {"os": "plan 9"}, "plan 9"),
                ("unknown-image", {"os": None, "image": "no-such-image"}, "no-such-image"),
                ("no-fit", {"vcpus": 4096}, "vcpus"),
            ):
                request = {key: value for key, value in {**cloud.request, **wrong}.items() if value is not None}
                self.refused(self.api.reserve(request, f"wrong-{name}-{code}"), code, word)
        views = self.api.list(everything=True)
        require(views == [] and not self.left(), f"what was refused left {views} {self.left()}")
        self.say(f"{self.problems} wrong inputs were answered with typed problems")

    def quota(self):
        """The cloud's own no comes after the reservation was accepted: it fails and says why in the cloud's words."""
        nova = self.clouds["lab"]
        nova.limit_machines(USER, 2)  # as many as were made by hand
        status, view = self.api.reserve(nova.request, "over-quota")
        require(status == 202, f"{status} {view}")
        identity = view["id"]
        until(lambda: "quota" in self.said(identity).lower(), WITHIN_S, lambda: f"{self.api.get(identity)}")
        view = self.api.get(identity)
        require(view["state"] != "ready" and view["tries"], f"{view}")
        self.problems += 1
        nova.limit_machines(USER, 10)
        self.api.call("DELETE", f"/reservations/{identity}")
        until(lambda: self.api.get(identity)["state"] in ("released", "failed"), WITHIN_S, lambda: f"{self.api.get(identity)}")
        until(lambda: not self.left(), WITHIN_S, lambda: f"left: {self.left()}")
        self.say(f"a quota that is reached is said so: {self.said(identity)}")

    def said(self, identity):
        view = self.api.get(identity)
        return " ".join([view["reason"] or "", *(one["said"] for one in view["tries"])])

    # ------------------------------------------------------------ the walk

    def everywhere(self, word, do, done):
        """Does something for all three at once, waits for each of them, and takes the time."""
        begun = time.monotonic()
        for name in self.clouds:
            do(name)
        waiting = set(self.clouds)
        shown = {}

        def all_done():
            for name in list(waiting):
                shown[name] = self.api.get(self.ids[name])
                if shown[name]["state"] == done:
                    self.seconds[name][word] = round(time.monotonic() - begun, 1)
                    waiting.discard(name)
            return not waiting

        until(all_done, WITHIN_S, lambda: f"not {done}: { {name: shown[name] for name in waiting} }")
        self.say(f"{done} everywhere")
        return shown

    def reserve(self):
        """Three requests in flight at the same time."""
        answers = {}

        def ask(name):
            request = dict(self.clouds[name].request, allow_from=FROM, ssh_public_keys=[PUBLIC_KEY], name=f"on-{name}")
            answers[name] = self.api.reserve(request, f"walk-{name}")

        asking = [threading.Thread(target=ask, args=(name,)) for name in self.clouds]
        for one in asking:
            one.start()
        for one in asking:
            one.join(WITHIN_S)
        require({status for status, _ in answers.values()} == {202}, f"not accepted: {answers}")
        self.ids = {name: view["id"] for name, (_, view) in answers.items()}

    def on(self, name):
        """One machine of ours runs there, and it is the one that the API names."""
        view = self.api.get(self.ids[name])
        [unit] = view["units"]
        lag = self.clouds[name].lag_s + 3
        until(lambda: self.states(name) == {"machine": [ON[name]]}, lag, lambda: f"{name}: {self.ours(name)}")
        [machine] = [one["id"] for one in self.ours(name) if one["kind"] == "machine"]
        require(unit["provider_id"] == machine, f"{name}: {unit} is not {machine}")
        kinds = {one["kind"] for one in self.ours(name)}
        around = {"firewall"} if name == "digitalocean" else {"firewall", "key_pair"}
        require(around <= kinds, f"{name}: {around} are due, there is {kinds}")

    def patch(self, name, power):
        status, answer = self.api.call("PATCH", f"/reservations/{self.ids[name]}", {"power": power})
        require(status == 200, f"power {power} at {name}: {status} {answer}")

    def release(self, name):
        status, answer = self.api.call("DELETE", f"/reservations/{self.ids[name]}")
        require(status == 202, f"release at {name}: {status} {answer}")

    def play(self):
        for cloud in self.clouds.values():
            cloud.make_by_hand()
        self.server.start()
        self.api.enter()
        self.remember_foreign()
        self.wrong_keys()
        for cloud in self.clouds.values():
            self.api.save(cloud.key(USER))
        self.wrong_requests()
        self.reserve()
        self.everywhere("ready", lambda _: None, "ready")
        for name in self.clouds:
            self.on(name)
        self.everywhere("stopped", lambda name: self.patch(name, "off"), "stopped")
        for name in self.clouds:
            until(lambda: self.states(name) == OFF[name], 10, lambda: f"{name} is not off: {self.states(name)}")
        self.foreign_untouched()
        self.everywhere("started", lambda name: self.patch(name, "on"), "ready")
        for name in self.clouds:
            self.on(name)
        self.everywhere("released", self.release, "released")
        self.left_after = self.left()
        require(not self.left_after, f"everything is released, and there is still {self.left_after}")
        self.foreign_untouched()
        self.quota()
        self.foreign_untouched()
        self.selftest()

    def selftest(self):
        """Something of ours that is left is seen, at each of them."""
        for cloud in self.clouds.values():
            cloud.plant()
        missed = set(self.clouds) - set(self.left())
        print(f"COUNT three_clouds_selftest planted={len(self.clouds)} caught={len(self.clouds) - len(missed)}", flush=True)
        require(not missed, f"what was planted is not seen at {missed}")

    def report(self):
        for name, seconds in self.seconds.items():
            times = " ".join(f"{word}_s={value}" for word, value in seconds.items())
            print(f"COUNT three_clouds_seconds cloud={name} {times}")
        foreign = sum(len(things) for things in self.before.values())
        words = ("ready", "stopped", "started", "released")
        came = " ".join(f"{word}={sum(word in seconds for seconds in self.seconds.values())}" for word in words)
        left = sum(len(things) for things in self.left_after.values())
        print(
            f"COUNT three_clouds clouds={len(self.clouds)} {came} "
            f"problems={self.problems} left={left} foreign={foreign} foreign_touched={len(self.touched)}",
            flush=True,
        )


def arguments(clouds, folder):
    """One file with all three."""
    config = os.path.join(folder, "three.toml")
    hold = max(cloud.unknown_hold_s for cloud in clouds.values() if cloud.tokenless)
    with open(config, "w") as file:
        file.write(f"[limits]\nunknown_hold = \"{hold}s\"\n" + "\n".join(cloud.tables() for cloud in clouds.values()))
    return ["--config", config]


def play(binary, folder):
    clouds, started, walk = {}, [], None
    try:
        for name, kind in (("aws", CheckedMoto), ("digitalocean", PlainDigitalOcean), ("lab", PlainNova)):
            inside = os.path.join(folder, name)
            os.mkdir(inside)
            clouds[name] = kind(binary, inside)
            started.append(clouds[name])
            clouds[name].start(inside)
        server = HttpServer(binary, os.path.join(folder, "server"), arguments(clouds, folder))
        walk = Walk(clouds, server)
        walk.play()
        walk.report()
        walk.say("every promise held")
    except Violation as violation:
        print(f"three clouds: VIOLATION {violation}", file=sys.stderr)
        if walk is not None:
            print(f"the end of the server's log:\n{walk.server.tail()}", file=sys.stderr)
        return 1
    finally:
        if walk is not None:
            walk.server.stop()
        for cloud in started:
            cloud.stop()
    return 0


def main():
    parser = argparse.ArgumentParser(description="a machine on each of three clouds, through one server")
    parser.add_argument("--binary", required=True, type=os.path.abspath, help="http-server with the feature aws")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="infra-three-clouds-")
    try:
        return play(options.binary, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
