"""Thirty servers on a real Nova, through the server and its engine: all ready, none too many, none left.

    python thirty.py --binary PATH/TO/http-server [--count 30]

OpenStack is found as openstack.py says. What is there is read by the operator, again and again on the way up and
down. Prints `COUNT nova_many`; exit codes: 0 every promise held, 1 one did not (said on standard error).
"""

import argparse
import collections
import os
import shutil
import signal
import sys
import tempfile
import time

from openstack import Nova
from parts import Api, HttpServer, Violation, require, touched, until

# For a loaded machine: what is waited for takes half a minute.
WITHIN_S = 600
LOOK_EVERY_S = 1.0


class Many:
    def __init__(self, cloud, server, count):
        self.cloud, self.server, self.count = cloud, server, count
        self.api = Api(server, "ada")
        self.most = 0
        self.looks = 0

    def servers(self, ended=False):
        _, project = self.cloud.projects["ada"]
        return [one for one in self.cloud.servers(project, ended) if one["id"] not in self.cloud.by_hand]

    def look(self):
        """Servers of ours that are there: never more at once than were asked for."""
        there = self.servers()
        self.looks += 1
        self.most = max(self.most, len(there))
        require(len(there) <= self.count, f"{len(there)} servers are there, and {self.count} were asked for")
        return there

    def foreign(self):
        return {one["id"]: one for one in self.cloud.things() if not one["ours"]}

    def until(self, state):
        begun = time.monotonic()

        def there():
            self.look()
            view = self.api.get(self.id)
            return view if view["state"] == state else None

        view = until(there, WITHIN_S, lambda: f"not {state}: {self.shown()}", LOOK_EVERY_S)
        return view, round(time.monotonic() - begun, 1)

    def shown(self):
        """What the API says, in short."""
        view = self.api.get(self.id)
        states = collections.Counter(unit["state"] for unit in view["units"])
        return f"{view['state']}, {dict(states)}, {view['reason']}, {view['tries']}"

    def play(self):
        self.cloud.make_by_hand()
        self.server.start()
        self.api.join(self.cloud.key("ada"))
        self.cloud.wait_built()
        before = self.foreign()
        require({one["state"] for one in before.values() if one["kind"] == "machine"} == {"ACTIVE"}, f"{before}")
        status, view = self.api.reserve(dict(self.cloud.request, count=self.count), "many")
        require(status == 202, f"not accepted: {status} {view}")
        self.id = view["id"]
        view, ready_s = self.until("ready")
        made = self.look()
        units = {unit["provider_id"] for unit in view["units"]}
        require({one["id"] for one in made if one["status"] == "ACTIVE"} == units, f"{made} are not {units}")
        require(len(units) == self.count, f"{len(units)} units")
        status, answer = self.api.call("DELETE", f"/reservations/{self.id}")
        require(status == 202, f"not released: {status} {answer}")
        _, released_s = self.until("released")
        left = [(one["kind"], one["id"], one["state"]) for one in self.cloud.things() if one["ours"] and one["alive"]]
        require(not left, f"released, and there is still {left}")
        # By id: one that ends between the two listings stands in both.
        ever = len({one["id"] for one in [*self.look(), *self.servers(ended=True)]})
        calls = self.cloud.proxies["compute"].calls("POST /v2.1/servers")
        require(ever == calls == self.count, f"{calls} create calls made {ever} servers for {self.count}")
        now = self.foreign()
        changed = touched(before, now)
        require(not changed, f"touched: {before} was, {now} is")
        print(
            f"COUNT nova_many wanted={self.count} ready={len(units)} ever_made={ever} create_calls={calls} "
            f"most_at_once={self.most} looks={self.looks} surplus={ever - self.count} left={len(left)} "
            f"foreign={len(before)} foreign_touched={len(changed)} ready_s={ready_s} released_s={released_s}",
            flush=True,
        )


def play(options, folder):
    cloud = Nova(options.binary, folder)
    cloud.users = ("ada",)
    server = None
    try:
        cloud.start(folder)
        server = HttpServer(options.binary, os.path.join(folder, "server"), cloud.server_arguments())
        Many(cloud, server, options.count).play()
    except Violation as violation:
        print(f"nova_many: VIOLATION {violation}", file=sys.stderr)
        if server is not None:
            print(f"the end of the server's log:\n{server.tail()}", file=sys.stderr)
        return 1
    finally:
        if server is not None:
            server.stop()
        cloud.stop()
    return 0


def main():
    parser = argparse.ArgumentParser(description="many servers on a real Nova, none too many")
    parser.add_argument("--binary", required=True, type=os.path.abspath, help="the built http-server")
    parser.add_argument("--count", type=int, default=30, help="how many servers")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = tempfile.mkdtemp(prefix="infra-thirty-")
    try:
        return play(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
