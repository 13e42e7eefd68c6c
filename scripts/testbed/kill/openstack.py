"""A whole OpenStack behind fault proxies, and what is truly in it, read by its operator.

`scripts/testbed/openstack/start.sh` has started it; its addresses come from the environment, as the tests of the
stage `openstack` have them: INFRA_TEST_OPENSTACK (Keystone), INFRA_TEST_NOVA, INFRA_TEST_GLANCE, INFRA_TEST_NEUTRON.

Every run has a region and projects of its own, so that several may share one control plane: in that region the
catalogue leads to the proxies.
"""

import http.client
import json
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from parts import Cloud, FaultProxy, require, until

MACHINE_WITHIN_S = 300
DOMAIN = {"id": "default"}


class Nova(Cloud):
    """Projects of a real control plane: Keystone, Nova, Neutron and Glance as they were released."""

    name = "nova"
    end = {"method": "DELETE", "path_regex": r"^/v2\.1/servers/[^/]+$"}
    power = {
        word: [{"method": "POST", "path_regex": r"/servers/[^/]+/action$", "body_regex": order}]
        for word, order in (("off", '"os-stop"'), ("on", '"os-start"'))
    }
    # A group without its rules is no use: the window between the two calls is one of its own.
    creates = {
        "machine": {"operation": "POST /v2.1/servers"},
        "firewall": {"operation": "POST /v2.0/security-groups"},
        "rules": {"operation": "POST /v2.0/security-group-rules"},
        "key_pair": {"operation": "POST /v2.1/os-keypairs"},
    }
    upstreams = {"firewall": "network", "rules": "network"}
    hand_made_running = "ACTIVE"
    tokenless = True
    # Nova is slower than a fake: fewer of each.
    users = ("ada", "bob")
    reservations, powered, ended_under_fire, kills_per_window_min, late = 18, 4, 6, 6, 2
    visible_within_s, unknown_hold_s = 4, 12
    lag_s = 0
    request = {
        "vcpus": 1, "provider": "lab", "os": "ubuntu 24.04", "allow_from": ["192.0.2.0/24"],
        "ssh_public_keys": ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKHEX9sZ6m2vIMsu8sXkXb4xDnLVCzBQwNMHhaAK9kvB nobody"],
    }  # fmt: skip

    def __init__(self, binary, folder):
        del binary
        self.folder = Path(folder)
        for word, variable in (
            ("identity", "INFRA_TEST_OPENSTACK"), ("compute", "INFRA_TEST_NOVA"), ("image", "INFRA_TEST_GLANCE"),
            ("network", "INFRA_TEST_NEUTRON"),
        ):  # fmt: skip
            require(os.environ.get(variable), f"{variable} is not set: start scripts/testbed/openstack first")
            setattr(self, word, os.environ[variable].rstrip("/"))
        self.regions = [f"region-{secrets.token_hex(3)}"]
        self.by_hand = set()
        self.projects = {}
        self.proxies = {}

    # ------------------------------------------------------------ its APIs, straight

    def ask(self, url, method="GET", body=None, token=None, accept=(200, 201, 202, 204, 404)):
        parts = urlsplit(url)
        headers = {"content-type": "application/json", "openstack-api-version": "compute 2.69"}
        headers |= {"x-auth-token": token} if token else {}
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        try:
            path = parts.path + (f"?{parts.query}" if parts.query else "")
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            reply = connection.getresponse()
            text = reply.read()
            require(reply.status in accept, f"{method} {url}: {reply.status} {text[:500]}")
            return json.loads(text) if text else None, reply.headers
        finally:
            connection.close()

    def login(self, user, project):
        person = {"user": {"name": user, "domain": DOMAIN, "password": "secret"}}
        auth = {"identity": {"methods": ["password"], "password": person}}
        auth["scope"] = {"project": {"name": project, "domain": DOMAIN}}
        answer, headers = self.ask(f"{self.identity}/auth/tokens", "POST", {"auth": auth})
        return headers["x-subject-token"], answer["token"]["project"]["id"]

    def operator(self, path, method="GET", body=None, service="identity"):
        return self.ask(getattr(self, service) + path, method, body, self.admin)[0]

    # ------------------------------------------------------------ its start

    def start(self, folder):
        self.admin, _ = self.login("admin", "admin")
        for word in ("compute", "network"):
            inside = Path(folder) / f"proxy-{word}"
            inside.mkdir()
            self.proxies[word] = FaultProxy(inside, urlsplit(getattr(self, word)).port)
        [region] = self.regions
        self.operator("/regions", "POST", {"region": {"id": region}})
        services = {one["type"]: one["id"] for one in self.operator("/services")["services"]}
        for word, url in (
            ("compute", f"http://127.0.0.1:{self.proxies['compute'].port}/v2.1"),
            ("network", f"http://127.0.0.1:{self.proxies['network'].port}"),
            ("image", self.image),
        ):
            endpoint = {"service_id": services[word], "interface": "public", "url": url, "region_id": region}
            self.operator("/endpoints", "POST", {"endpoint": endpoint})
        [network] = self.operator("/v2.0/networks?shared=true", service="network")["networks"]
        self.shared = network["id"]
        for user in self.users:
            self.join(user)

    def join(self, user):
        """A project of this run, and a user of the same name who is its member."""
        name = f"{user}-{self.regions[0]}"
        project = {"project": {"name": name, "domain_id": "default"}}
        project = self.operator("/projects", "POST", project)["project"]["id"]
        body = {"user": {"name": name, "password": "secret", "domain_id": "default"}}
        made = self.operator("/users", "POST", body)["user"]["id"]
        roles = {role["name"]: role["id"] for role in self.operator("/roles")["roles"]}
        self.operator(f"/projects/{project}/users/{made}/roles/{roles['member']}", "PUT")
        self.projects[user] = (name, project)

    def tables(self):
        prices = self.folder / "lab-prices.toml"
        prices.write_text(
            'as_of = "2026-01-31T00:00:00Z"\ncurrency = "USD"\n[per_hour]\n"m1.tiny" = "0.01"\n"m1.small" = "0.02"\n'
        )
        return f"""[clouds.lab]
kind = "openstack"
endpoint = "{self.identity}"
regions = {self.regions!r}
prices = "{prices}"
simulated = true
visible_within_s = {self.visible_within_s}
"""

    def key(self, user):
        name, _ = self.projects[user]
        return {"provider": "lab", "kind": "password", "username": name, "password": "secret", "project_name": name}

    def before(self, match):
        word = next((kind for kind, one in self.creates.items() if one == match), None)
        return self.proxies[self.upstreams.get(word, "compute")]

    # ------------------------------------------------------------ hands, and the truth

    def make_by_hand(self):
        for user in self.projects:
            name, _ = self.projects[user]
            token, project = self.login(name, name)
            answer, _ = self.ask(f"{self.image}/v2/images?status=active", token=token)
            group = {"security_group": {"name": "by-hand", "description": "made by a person"}}
            group, _ = self.ask(f"{self.network}/v2.0/security-groups", "POST", group, token)
            self.ask(f"{self.compute}/v2.1/os-keypairs", "POST", {"keypair": {
                "name": f"by-hand-{user}", "public_key": self.request["ssh_public_keys"][0], "type": "ssh",
            }}, token)  # fmt: skip
            self.by_hand |= {f"by-hand-{user}", group["security_group"]["id"]}
            for number in range(2):
                server = {
                    "name": f"by-hand-{number}", "imageRef": answer["images"][0]["id"], "flavorRef": "m1.tiny",
                    "networks": [{"uuid": self.shared}], "metadata": {"team": "lab"},
                    "security_groups": [{"name": group["security_group"]["id"]}],
                }  # fmt: skip
                made, _ = self.ask(f"{self.compute}/v2.1/servers", "POST", {"server": server}, token)
                self.by_hand.add(made["server"]["id"])
            # Every project has one from the start; it is as foreign as what people make.
            groups, _ = self.ask(f"{self.network}/v2.0/security-groups?project_id={project}", token=token)
            self.by_hand |= {one["id"] for one in groups["security_groups"] if one["name"] == "default"}

    def servers(self, project, ended=False):
        """As the operator sees them: those that are there, or those that are not any more."""
        of = f"/v2.1/servers/detail?all_tenants=1&deleted={ended}&project_id={project}"
        return self.operator(of, service="compute")["servers"]

    def things(self):
        """Servers as the operator sees them, ended ones too; groups, key pairs, images and ports that are there."""
        found = []

        def add(identity, kind, state, raw, ours=None):
            ours = identity not in self.by_hand if ours is None else ours
            alive = state != "DELETED"
            found.append({"id": identity, "kind": kind, "alive": alive, "state": state, "ours": ours, "raw": raw})

        for user, (name, project) in self.projects.items():
            token, _ = self.login(name, name)
            for one in (*self.servers(project), *self.servers(project, ended=True)):
                add(one["id"], "machine", one["status"], one)
            owned = f"/v2.0/security-groups?project_id={project}"
            for one in self.operator(owned, service="network")["security_groups"]:
                add(one["id"], "firewall", "there", one)
            for one in self.ask(f"{self.compute}/v2.1/os-keypairs", token=token)[0]["keypairs"]:
                add(one["keypair"]["name"], "key_pair", "there", one)
            for one in self.operator(f"/v2/images?owner={project}", service="image")["images"]:
                add(one["id"], "snapshot", "there", one)
            for one in self.operator(f"/v2.0/ports?project_id={project}", service="network")["ports"]:
                add(one["id"], "port", "there", one, one["device_id"] not in self.by_hand)
        return found

    def limit_machines(self, user, most):
        _, project = self.projects[user]
        body = {"quota_set": {"instances": most, "force": True}}
        self.operator(f"/v2.1/os-quota-sets/{project}", "PUT", body, service="compute")

    def wait_built(self):
        """Nova's own word that nothing is being built, for tests that look at what is there."""
        building = lambda: [one for one in self.things() if one["state"] == "BUILD"]  # noqa: E731
        until(lambda: not building(), MACHINE_WITHIN_S, lambda: f"still building: {building()}")

    def stop(self):
        for proxy in self.proxies.values():
            proxy.stop()
