"""What the kill test runs and talks to: processes, HTTP, the fault proxy, the store's file.

Standard library only. Every process is ended by the pid it was started with.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import urlencode, urlsplit

PROXY_PROGRAM = Path(__file__).resolve().parent.parent / "aws" / "fault_proxy.py"
# Nothing here measures speed: what is waited for comes within moments, and a loaded machine may take this long.
START_WITHIN_S = 120
ANSWER_WITHIN_S = 180
FIRES_WITHIN_S = 120
# Where a call is when its sender dies, by the proxy's name for it.
WINDOWS = {"before": "before_forward", "held": "after_forward_hold_reply", "after": "after_reply_sent"}
LAUNCH_KIND = 3  # RecordKind::Launch in infra-core/src/contracts/store.rs


class Violation(Exception):
    """The product, or the test itself, broke a promise."""


def require(condition, message):
    if not condition:
        raise Violation(message)


def touched(before, now):
    """What is not as it was: changed, gone, or new. By id."""
    return {one for one in {*before, *now} if before.get(one) != now.get(one)}


def until(wanted, within_s, what, every_s=0.2):
    """Asks again and again; what it says when time is up is `what()`."""
    deadline = time.monotonic() + within_s
    while True:
        if answer := wanted():
            return answer
        require(time.monotonic() < deadline, f"not within {within_s} s: {what() if callable(what) else what}")
        time.sleep(every_s)


def free_ports(count):
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return ports


def send(url, method="GET", body=None, token=None, headers=None, timeout_s=ANSWER_WITHIN_S):
    """(status, JSON), or (None, why) when no whole answer came, as a client sees it whose server dies."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout_s)
    sent = dict(headers or {})
    if token:
        sent["authorization"] = f"Bearer {token}"
    try:
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        reply = connection.getresponse()
        text = reply.read()
        return reply.status, json.loads(text) if text else None
    except (OSError, http.client.HTTPException, ValueError) as error:
        return None, repr(error)
    finally:
        connection.close()


class Process:
    """A child whose output goes to a file; it ends with the test, whatever happens."""

    def __init__(self, arguments, log, env=None, cwd=None):
        with open(log, "ab") as out:
            # A group of its own: a Ctrl-C meant for the test must not decide when its parts end.
            self.child = subprocess.Popen(
                [str(one) for one in arguments], stdout=subprocess.PIPE, stderr=out, stdin=subprocess.DEVNULL,
                env=env, cwd=cwd, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self):
        return self.child.pid

    def running(self):
        return self.child.poll() is None

    def end(self, how=signal.SIGTERM):
        if self.running():
            self.child.send_signal(how)
            try:
                self.child.wait(12)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.child.stdout.close()


class HttpServer:
    """The product's server in a folder of its own; started again and again on one port."""

    def __init__(self, binary, folder, arguments):
        self.binary, self.folder, self.arguments = binary, Path(folder), arguments
        self.home = self.folder / "home"
        self.home.mkdir(parents=True)
        self.data = self.folder / "infra-data"
        self.log = self.folder / "server.log"
        [self.port] = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None
        self.starts = 0

    def start(self):
        """Returns once its banner says that it is ready."""
        env = {"HOME": str(self.home), "INFRA_LOG": os.environ.get("INFRA_LOG", "info")}
        command = [self.binary, "--listen", f"127.0.0.1:{self.port}", *self.arguments]
        self.process = Process(command, self.log, env, self.folder)
        self.starts += 1
        said = b""
        # One that neither gets ready nor ends must not hold the test for ever.
        watchdog = threading.Timer(START_WITHIN_S, self.process.child.kill)
        watchdog.start()
        try:
            for line in self.process.child.stdout:
                said += line
                if line.strip().startswith(b"ready"):
                    return
        finally:
            watchdog.cancel()
        code = self.process.child.wait()
        raise Violation(f"the server ended at its start with {code}: {said.decode()}{self.tail()}")

    def wait_killed(self, within_s):
        """Waits for the SIGKILL that somebody else sends; a process that ended otherwise is a defect."""
        try:
            code = self.process.child.wait(within_s)
        except subprocess.TimeoutExpired:
            return False
        require(code == -signal.SIGKILL, f"the server ended by itself with {code}: {self.tail()}")
        self.process.child.stdout.close()
        return True

    def kill_9(self):
        self.process.child.kill()
        require(self.wait_killed(10), "a killed process is there for ever")

    def admin_token(self):
        return (self.data / "admin-token").read_text().strip()

    def tail(self, lines=40):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self):
        if self.process is not None:
            self.process.end()


class FaultProxy:
    """scripts/testbed/aws/fault_proxy.py before a cloud."""

    def __init__(self, folder, upstream_port):
        self.port, control = free_ports(2)
        self.control = f"http://127.0.0.1:{control}"
        arguments = ["--listen", self.port, "--control", control, "--upstream", upstream_port]
        self.process = Process([sys.executable, "-B", PROXY_PROGRAM, *arguments], Path(folder) / "proxy.log")
        until(lambda: send(f"{self.control}/health")[0] == 200, START_WITHIN_S, "the fault proxy does not answer")

    def ask(self, method, path, body=None):
        status, answer = send(self.control + path, method, body)
        require(status == 200, f"the fault proxy says {status} {answer}")
        return answer

    def arm(self, match, *rules):
        """Rules for such calls, instead of all others; `at`, `then` and what goes with it as the proxy has them."""
        self.disarm()
        self.ask("POST", "/rules", [{"match": match, **rule} for rule in rules])

    def fired(self, *states):
        """What the rules did, as the proxy saw it: the last one just now, one state for each deed."""

        def done():
            fired = self.ask("GET", f"/fired?count={len(states)}&wait_s=30")["fired"]
            return len(fired) >= len(states) and fired

        fired = until(done, FIRES_WITHIN_S, lambda: f"{states} were due: {self.ask('GET', '/fired')}")
        happened = sorted(entry["state"] for entry in fired)
        require(happened == sorted(states), f"the proxy did not what it should ({states}): {fired}")
        return fired

    def let_pass(self):
        """Every request or reply that is held goes on. How many were."""
        return len(self.ask("POST", "/release", {"then": "pass"})["released"])

    def calls(self, operation):
        """How often such a call reached the cloud since the proxy's last reset."""
        return self.ask("GET", "/log")["operations"].get(operation, {}).get("forwarded", 0)

    def disarm(self):
        self.ask("POST", "/reset")

    def stop(self):
        self.process.end()


class Cloud:
    """What they have in common; each number is how many of something one run has."""

    # Does the cloud take no idempotency token, so that PROTOCOL's rule C8 is all there is?
    tokenless = False
    # Does a machine that is turned on again count as another one, made from a copy of the first?
    off_is_copy = False
    reservations, powered, ended_under_fire, kills_per_window_min, late = 54, 8, 15, 10, 0
    count_max = 3
    unknown_hold_s = 900

    def shorten(self, share):
        """Fewer of everything that is counted per window, for whoever waits; the windows stay the same."""
        for name in ("powered", "ended_under_fire", "kills_per_window_min"):
            setattr(self, name, max(3, int(getattr(self, name) * share)))
        # One kill each, in one window after the other.
        self.reservations = max(len(WINDOWS) * self.kills_per_window_min, int(self.reservations * share))

    def tables(self):
        """Its part of the settings file."""
        raise NotImplementedError

    def server_arguments(self):
        config = self.folder / "server.toml"
        config.write_text(f"[limits]\nunknown_hold = \"{self.unknown_hold_s}s\"\n{self.tables()}")
        return ["--config", str(config)]

    def before(self, match):
        """The fault proxy that such a call passes."""
        del match
        return self.proxy


def launches(data):
    """The ledger's rows as a restart will find them: read from a copy, so that nothing here can mend the file."""
    with tempfile.TemporaryDirectory() as folder:
        for file in Path(data).glob("store.sqlite*"):
            shutil.copy(file, folder)
        connection = sqlite3.connect(Path(folder) / "store.sqlite")
        try:
            rows = connection.execute("SELECT body FROM record WHERE kind = ?", (LAUNCH_KIND,)).fetchall()
        finally:
            connection.close()
    return [json.loads(body) for (body,) in rows]


def state_of(launch):
    """planned, sent, unknown, live, ending, closed."""
    state = launch["state"]
    return state if isinstance(state, str) else next(iter(state))


class Api:
    """One user of the server, with its token."""

    def __init__(self, server, user):
        self.server, self.user, self.token = server, user, None

    def admin(self, method, path, body=None):
        status, answer = send(self.server.url + path, method, body, self.server.admin_token())
        require(status in (200, 201, 204), f"{method} {path}: {status} {answer}")
        return answer

    def join(self, key):
        self.enter()
        self.save(key)

    def enter(self):
        self.admin("POST", "/admin/users", {"name": self.user})
        self.admin("PATCH", f"/admin/users/{self.user}", {"machines_max": 500})
        issued = self.admin("POST", f"/admin/users/{self.user}/tokens", {"label": "kill", "role": "user"})
        self.token = issued["token"]

    def save(self, key):
        status, answer = self.call("POST", "/keys", key)
        require(status == 201, f"the key was not taken: {status} {answer}")

    def call(self, method, path, body=None, headers=None):
        return send(f"{self.server.url}/users/{self.user}{path}", method, body, self.token, headers)

    def reserve(self, body, key):
        return self.call("POST", "/reservations", body, {"Idempotency-Key": key})

    def get(self, reservation):
        status, answer = self.call("GET", f"/reservations/{reservation}")
        require(status == 200, f"GET {reservation}: {status} {answer}")
        return answer

    def list(self, everything=False):
        items, after = [], None
        while True:
            query = {"limit": 200} | ({"state": "all"} if everything else {}) | ({"after": after} if after else {})
            status, answer = self.call("GET", f"/reservations?{urlencode(query)}")
            require(status == 200, f"list: {status} {answer}")
            items += answer["items"]
            after = answer["next"]
            if after is None:
                return items
