"""Fills a fresh cloud: people, endpoints, images, a network (`base`), and flavors once Nova runs (`flavors`).

    seed.py base|flavors KEYSTONE NOVA GLANCE NEUTRON PLACEMENT

Projects `laws`, `life` and `quota` have a user of the same name; the password is `secret` everywhere.
"""

import sys

import requests

what = sys.argv[1]
keystone, nova, glance, neutron, placement = (f"http://127.0.0.1:{port}" for port in sys.argv[2:7])
identity = keystone + "/v3"
session = requests.Session()
session.trust_env = False


def enter(user, project):
    default = {"id": "default"}
    person = {"user": {"name": user, "domain": default, "password": "secret"}}
    scope = {"project": {"name": project, "domain": default}}
    auth = {"auth": {"identity": {"methods": ["password"], "password": person}, "scope": scope}}
    answer = session.post(identity + "/auth/tokens", json=auth)
    answer.raise_for_status()
    session.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]


def done(answer):
    if not answer.ok:
        sys.exit(f"{answer.request.method} {answer.url} answered {answer.status_code}: {answer.text[:300]}")
    return answer.json() if answer.content else None


def post(url, body):
    return done(session.post(url, json=body))


def people():
    roles = {role["name"]: role["id"] for role in done(session.get(identity + "/roles"))["roles"]}
    if "service" not in roles:
        roles["service"] = post(identity + "/roles", {"role": {"name": "service"}})["role"]["id"]

    def project(name):
        return post(identity + "/projects", {"project": {"name": name, "domain_id": "default"}})["project"]["id"]

    def user(name, within, allowed):
        body = {"user": {"name": name, "password": "secret", "domain_id": "default"}}
        made = post(identity + "/users", body)["user"]["id"]
        for role in allowed:
            done(session.put(f"{identity}/projects/{within}/users/{made}/roles/{roles[role]}"))

    service = project("service")
    for name in ("nova", "placement", "glance", "neutron"):
        user(name, service, ["admin", "service"])
    for name in ("laws", "life", "quota"):
        user(name, project(name), ["member"])


def endpoints():
    for kind, name, url in (
        ("compute", "nova", nova + "/v2.1"),
        ("placement", "placement", placement),
        ("image", "glance", glance),
        ("network", "neutron", neutron),
    ):
        service = post(identity + "/services", {"service": {"type": kind, "name": name}})["service"]["id"]
        for interface in ("public", "internal"):
            body = {"service_id": service, "interface": interface, "url": url, "region_id": "RegionOne"}
            post(identity + "/endpoints", {"endpoint": body})


def images():
    for name, more in (
        ("noble-server", {"os_distro": "ubuntu", "os_version": "24.04"}),
        ("debian-12-generic-amd64", {}),
    ):
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": "public", **more}
        made = post(glance + "/v2/images", body)["id"]
        header = {"Content-Type": "application/octet-stream"}
        done(session.put(f"{glance}/v2/images/{made}/file", data=b"\0" * 1024, headers=header))


def network():
    made = post(neutron + "/v2.0/networks", {"network": {"name": "shared", "shared": True}})["network"]["id"]
    subnet = {"network_id": made, "cidr": "10.9.0.0/16", "ip_version": 4, "enable_dhcp": False}
    post(neutron + "/v2.0/subnets", {"subnet": subnet})


def flavors():
    for name, vcpus, ram in (("m1.tiny", 1, 512), ("m1.small", 1, 2048), ("huge", 100, 999_999)):
        body = {"name": name, "ram": ram, "vcpus": vcpus, "disk": 1, "id": name}
        post(nova + "/v2.1/flavors", {"flavor": body})


enter("admin", "admin")
if what == "base":
    people()
    endpoints()
    # A token lists the endpoints of its moment.
    enter("admin", "admin")
    images()
    network()
else:
    flavors()
