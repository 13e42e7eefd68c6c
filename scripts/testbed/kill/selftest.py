"""The kill test's own proof: each of its promises is broken on purpose, and it must notice.

    python selftest.py PATH/TO/http-server

On the served sim, without any kill: a machine in the account that nobody reserved, one of ours that is gone, one
made by hand that was ended. Prints `COUNT kill_selftest planted= caught=`; exit code 1 when one was missed.
"""

import os
import shutil
import sys
import tempfile
import uuid

import clouds
import kill_test
from parts import HttpServer, Violation, launches, require, send, state_of


def leak(run):
    """What a doubled create call makes: a live machine's body under another token."""
    row = next(one for one in launches(run.server.data) if "machine" in one["frozen"]["body"] and state_of(one) == "live")
    frozen = dict(row["frozen"], token=str(uuid.uuid4()), name="infra-doubled")
    asked = {"key": f"sim-{row['lane']['account']}", "region": row["lane"]["region"]}
    call = {"launch": {"frozen": frozen, "user_data": None}}
    headers = {"content-type": "application/json"}
    status, answer = send(run.cloud.server.url + "/sim/api/launch", "POST", {**asked, "call": call}, None, headers)
    require(status == 200 and "Ok" in answer, f"the sim did not make one more: {status} {answer}")


def lose(run):
    run.cloud.ask("POST", f"/sim/machines/{next(one['id'] for one in run.ours() if one['kind'] == 'machine')}/vanish")


def touch(run):
    run.cloud.ask("POST", f"/sim/machines/{next(iter(run.foreign))}/end")


PLANTED = {leak: "machines without reservation", lose: "units without machine", touch: "touched"}


def caught(binary, plant, said):
    folder = tempfile.mkdtemp(prefix="infra-kill-selftest-")
    cloud = clouds.Sim(binary, folder)
    server = None
    try:
        cloud.start(folder)
        server = HttpServer(binary, os.path.join(folder, "server"), cloud.server_arguments())
        run = kill_test.Run(cloud, server, 1)
        run.begin()
        for number, api in enumerate(run.apis):
            request = dict(cloud.request, count=2, region="sim-east")
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
    found = {plant.__name__: caught(os.path.abspath(sys.argv[1]), plant, said) for plant, said in PLANTED.items()}
    print(f"COUNT kill_selftest planted={len(found)} caught={sum(found.values())}", flush=True)
    missed = [name for name, seen in found.items() if not seen]
    if missed:
        print(f"missed: {missed}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
