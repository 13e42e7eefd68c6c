"""The clouds behind the fault proxy, and what is truly in them, read without the product.

A cloud answers: `things()`, every machine and satellite as a dict with `id`, `kind`, `alive`, `state`, `ours`,
and `raw` for comparing; `operations`, how the proxy calls create, power and terminate; and it makes machines by
hand, which nobody but the test may touch.
"""

from pathlib import Path

from parts import FaultProxy, HttpServer, require, send


class Sim:
    """The simulator, served by a process of its own and used by the server as a remote cloud."""

    name = "sim"
    create, end = "POST /sim/api/launch", "POST /sim/api/terminate"
    power = {"off": "POST /sim/api/power-off", "on": "POST /sim/api/power-on"}
    # What the frozen body of a create call makes.
    bodies = {"machine": r'"body":\{"machine"', "firewall": r'"body":\{"firewall"'}
    hand_made_running = "running"
    places = [("ada", "sim-east"), ("ada", "sim-ams"), ("bob", "sim-east"), ("bob", "sim-ams")]
    request = {"vcpus": 1, "provider": "sim"}
    regions = ["sim-east", "sim-ams"]

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

    def make_by_hand(self):
        for number, (account, region) in enumerate(self.places):
            wish = {"account": account, "region": region, "name": f"by-hand-{number}", "tags": {"team": "lab"}}
            self.ask("POST", "/sim/machines", wish)

    def things(self):
        found = []
        for raw in self.ask("GET", "/sim/machines")["items"]:
            found.append({
                "id": raw["id"], "kind": raw["kind"], "alive": raw["ended_at"] is None, "state": raw["state"],
                "ours": not raw["by_hand"], "token": raw["made_under"], "raw": raw,
            })  # fmt: skip
        return found

    def stop(self):
        if hasattr(self, "proxy"):
            self.proxy.stop()
        self.server.stop()


BY_NAME = {"sim": Sim}
