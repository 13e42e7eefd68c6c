"""The kill test's own proof: each of its promises is broken on purpose, and it must notice.

    python selftest.py PATH/TO/http-server [sim|digitalocean]

On a cloud that another process simulates, without any kill: a machine in the account that nobody reserved, one of
ours that is gone, one made by hand that was ended, and where off is a copy, a copy that is gone. Prints
`COUNT kill_selftest counterpart= planted= caught=`; exit code 1 when one was missed.
"""

import os
import shutil
import sys
import tempfile
import uuid

import clouds
import kill_test
from parts import HttpServer, Violation, launches, require, send, state_of

HEADERS = {"content-type": "application/json"}


def leak(run):
    """What a doubled create call makes: a live machine's body under another token."""
    row = next(one for one in launches(run.server.data) if "machine" in one["frozen"]["body"] and state_of(one) == "live")
    if run.cloud.tokenless:
        body = row["frozen"]["body"]["machine"]
        droplet = {"name": "infra-doubled", "region": row["lane"]["region"], "size": body["type_name"]}
        droplet["image"] = int(body["image"])
        key, url = f"sim-{row['lane']['account']}", f"{run.cloud.server.url}/digitalocean/v2/droplets"
        status, answer = send(url, "POST", droplet, key, HEADERS)
        require(status == 202, f"the fake did not make one more: {status} {answer}")
        return
    frozen = dict(row["frozen"], token=str(uuid.uuid4()), name="infra-doubled")
    asked = {"key": f"sim-{row['lane']['account']}", "region": row["lane"]["region"]}
    call = {"launch": {"frozen": frozen, "user_data": None}}
    status, answer = send(run.cloud.server.url + "/sim/api/launch", "POST", {**asked, "call": call}, None, HEADERS)
    require(status == 200 and "Ok" in answer, f"the sim did not make one more: {status} {answer}")


def hand(run, word, one):
    run.cloud.ask("POST", f"{run.cloud.control}/machines/{one['raw']['id']}/{word}")


def lose(run):
    hand(run, "vanish", next(one for one in run.machines() if one["alive"]))


def touch(run):
    hand(run, "end", next(iter(run.foreign.values())))


def lose_copy(run):
    """What turning off too early does: the machine is ended, and there is no copy of it."""
    identity, (api, _) = next(iter(run.wanted.items()))
    status, answer = api.call("PATCH", f"/reservations/{identity}", {"power": "off"})
    require(status == 200, f"power off was refused: {status} {answer}")
    run.off.add(identity)
    run.converge()
    hand(run, "vanish", next(one for one in run.ours() if one["kind"] == "snapshot" and one["alive"]))


PLANTED = {
    leak: "machines without reservation",
    lose: "units without machine",
    touch: "touched",
    lose_copy: "machines are off, and their copies are",
}


def caught(binary, counterpart, plant, said):
    folder = tempfile.mkdtemp(prefix="infra-kill-selftest-")
    cloud = clouds.BY_NAME[counterpart](binary, folder)
    server = None
    try:
        cloud.start(folder)
        server = HttpServer(binary, os.path.join(folder, "server"), cloud.server_arguments())
        run = kill_test.Run(cloud, server, 1)
        run.begin()
        for number, api in enumerate(run.apis):
            request = dict(cloud.request, count=2, region=cloud.regions[0])
            run.repeat(api, request, f"selftest-{number}", api.reserve(request, f"selftest-{number}"))
        run.converge()
        plant(run)
        try:
            run.agree()
        except Violation as violation:
            return said in str(violation)
        return False
    finally:
        if server is not None:
            server.stop()
        cloud.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main():
    binary, counterpart = os.path.abspath(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "sim"
    copies = clouds.BY_NAME[counterpart].off_is_copy
    planted = {plant: said for plant, said in PLANTED.items() if copies or plant is not lose_copy}
    found = {plant.__name__: caught(binary, counterpart, plant, said) for plant, said in planted.items()}
    print(f"COUNT kill_selftest counterpart={counterpart} planted={len(found)} caught={sum(found.values())}", flush=True)
    missed = [name for name, seen in found.items() if not seen]
    if missed:
        print(f"missed: {missed}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
