"""A loopback HTTP/1.1 proxy that fails, or kills, at an exact moment of a call.

A create call has three windows in which a process may die, and each needs
another recovery: the request was sent but not applied; it was applied and the
answer never came; the answer came and the next step did not. A random kill
hits a window of nine milliseconds once in a hundred tries. This proxy sits
between the system under test and the cloud and triggers the fault itself.

    python fault_proxy.py --listen 15001 --control 15002 --upstream 15000

Bytes pass unchanged, the Host header included: a client that signs (SigV4)
signs for the proxy's address and the cloud sees exactly that. One connection
to the cloud per request. Bodies are held in memory (BODY_LIMIT).

Rules (POST /rules, one object or a list) are tried in order; the first that
matches a call at its window acts:

    {"match": {"method"?, "path_regex"?, "body_regex"?, "operation"?},
     "at":    "before_forward"            the request is here, the cloud knows nothing
            | "after_forward_hold_reply"  the cloud has answered, the client has nothing
            | "after_reply_sent",         the client has the answer
     "then":  "hold"      wait for POST /release (then pass, or drop), at most hold_s
            | "drop"      reset the client's connection (close it, once the reply is sent)
            | "kill_pid"  SIGKILL to `pid`, then drop
            | "reply"     answer `reply` instead: {"status", "headers"?, "body"?}
            | "pass"      nothing but delay_s,
     "times": 1, "skip": 0, "delay_s": 0, "hold_s": 300, "pid": only with kill_pid}

Regular expressions are searched for, in the path with its query and in the raw
body. The operation is AWS's Action or X-Amz-Target's last word, else "METHOD /path".

Control: POST /rules, GET /rules, DELETE /rules; GET /fired[?count=N&wait_s=S];
POST /release {"id"?, "then": "pass"|"drop"}; GET /log; POST /reset; GET /health.
"""

import argparse
import asyncio
import json
import os
import re
import signal
import socket
import struct
import sys
import time
from urllib.parse import parse_qs, urlsplit

HEAD_LIMIT = 64 * 1024
BODY_LIMIT = 64 * 1024 * 1024
FIRED_LIMIT = 10_000
WAIT_LIMIT_S = 60.0

WINDOWS = ("before_forward", "after_forward_hold_reply", "after_reply_sent")
ACTIONS = ("hold", "drop", "kill_pid", "reply", "pass")
MATCHERS = ("method", "path_regex", "body_regex", "operation")
FIELDS = ("match", "at", "then", "times", "skip", "delay_s", "hold_s", "pid", "reply")


class Dropped(Exception):
    """The client's connection is to be reset."""


# ---------------------------------------------------------------- messages


class Message:
    """One request or reply: the bytes as they came, and what matters of them."""

    def __init__(self, head, body=b"", raw_body=b"", until_close=False):
        self.head, self.body, self.raw_body, self.until_close = head, body, raw_body, until_close
        lines = head.decode("latin-1").split("\r\n")
        self.first = lines[0].split(" ", 2)
        self.headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                self.headers[name.strip().lower()] = value.strip()

    @property
    def raw(self):
        return self.head + self.raw_body

    def closes(self):
        connection = self.headers.get("connection", "").lower()
        version = self.first[0] if self.first[0].startswith("HTTP/") else self.first[-1]
        return self.until_close or "close" in connection or (version == "HTTP/1.0" and "keep-alive" not in connection)

    def operation(self):
        target = self.headers.get("x-amz-target")
        if target:
            return target.rsplit(".", 1)[-1]
        url = urlsplit(self.first[1])
        form = self.body.decode("latin-1") if "form" in self.headers.get("content-type", "") else ""
        action = parse_qs(form).get("Action") or parse_qs(url.query).get("Action")
        return action[0] if action else f"{self.first[0]} {url.path}"


async def read_head(reader):
    """None when the peer has closed between two messages."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial.strip():
            raise
        return None


async def read_chunks(reader):
    """A chunked body: its content, and its bytes as sent."""
    body, raw = bytearray(), bytearray()
    while True:
        line = await reader.readline()
        size = int(line.split(b";")[0], 16)
        raw += line
        if size == 0:
            break
        chunk = await reader.readexactly(size + 2)
        raw += chunk
        body += chunk[:-2]
        if len(body) > BODY_LIMIT:
            raise ValueError("body too large")
    while line := await reader.readline():  # trailers, then an empty line
        raw += line
        if line == b"\r\n":
            break
    return bytes(body), bytes(raw)


async def read_body(reader, message, is_reply):
    if "chunked" in message.headers.get("transfer-encoding", "").lower():
        message.body, message.raw_body = await read_chunks(reader)
        return
    length = message.headers.get("content-length")
    if length is not None:
        if int(length) > BODY_LIMIT:
            raise ValueError("body too large")
        message.body = message.raw_body = await reader.readexactly(int(length))
    elif is_reply:
        message.until_close = True
        message.body = message.raw_body = await reader.read(-1)


async def read_request(reader, writer):
    head = await read_head(reader)
    if head is None:
        return None
    request = Message(head)
    if request.headers.get("expect", "").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    await read_body(reader, request, is_reply=False)
    return request


async def read_reply(reader, method):
    while True:
        head = await read_head(reader)
        if head is None:
            raise ConnectionError("the cloud closed without an answer")
        reply = Message(head)
        status = int(reply.first[1])
        if status >= 200:
            break  # 100 Continue is between us and the cloud
    if method != "HEAD" and status not in (204, 304):
        await read_body(reader, reply, is_reply=True)
    return reply


def make_reply(status, body=b"", headers=None):
    lines = [f"HTTP/1.1 {status} {'OK' if status < 400 else 'Error'}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    head = "\r\n".join(lines) + "\r\n\r\n"
    return Message(head.encode("latin-1"), body, body)


def json_reply(status, value):
    return make_reply(status, json.dumps(value).encode() + b"\n", {"Content-Type": "application/json"})


# ---------------------------------------------------------------- rules


def require(condition, message):
    if not condition:
        raise ValueError(message)


def whole(spec, name, default, least):
    value = spec.get(name, default)
    require(isinstance(value, int) and not isinstance(value, bool) and value >= least, f"{name} must be an integer >= {least}")
    return value


def seconds(spec, name, default):
    value = spec.get(name, default)
    require(isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 3600, f"{name} must be 0 to 3600 s")
    return value


class Rule:
    """Checked when it is armed: a rule that can never fire makes a test pass for no reason."""

    def __init__(self, number, spec):
        require(isinstance(spec, dict), "a rule is an object")
        unknown = sorted(set(spec) - set(FIELDS)) + sorted(set(spec.get("match", {})) - set(MATCHERS))
        require(not unknown, f"unknown fields {unknown}")
        self.id, self.spec, self.match = number, spec, spec.get("match", {})
        self.at, self.then = spec.get("at"), spec.get("then")
        require(self.at in WINDOWS, f"at must be one of {WINDOWS}")
        require(self.then in ACTIONS, f"then must be one of {ACTIONS}")
        self.left, self.skip = whole(spec, "times", 1, 1), whole(spec, "skip", 0, 0)
        self.delay_s, self.hold_s = seconds(spec, "delay_s", 0), seconds(spec, "hold_s", 300)
        self.path = re.compile(self.match.get("path_regex", ""))
        self.body = re.compile(self.match.get("body_regex", ""))
        self.check_action()

    def check_action(self):
        if self.then == "kill_pid":
            self.pid = whole(self.spec, "pid", None, 2)
            require(self.pid != os.getpid(), "pid must not be the proxy's own")
        else:
            require("pid" not in self.spec, "pid goes with kill_pid")
        if self.then == "reply":
            require(self.at != "after_reply_sent", "a second reply cannot be sent")
            require(isinstance(self.spec.get("reply"), dict), "reply must be an object")
            whole(self.spec["reply"], "status", None, 200)
        else:
            require("reply" not in self.spec, "reply goes with then: reply")

    def matches(self, window, request):
        return (
            self.left > 0
            and window == self.at
            and self.match.get("method", request.first[0]) == request.first[0]
            and self.match.get("operation", request.operation()) == request.operation()
            and self.path.search(request.first[1]) is not None
            and self.body.search(request.body.decode("latin-1")) is not None
        )

    def shown(self):
        return {**self.spec, "id": self.id, "left": self.left, "skip_left": self.skip}


class Faults:
    """The armed rules, what they did, and what passed by."""

    def __init__(self):
        self.next_id = 1
        self.changed = asyncio.Condition()
        self.held = {}
        self.clear()

    def clear(self):
        for released in self.held.values():
            if not released.done():
                released.set_result("drop")
        self.held, self.rules, self.fired, self.log = {}, [], [], {}

    def arm(self, specs):
        rules = [Rule(self.next_id + i, spec) for i, spec in enumerate(specs)]
        self.next_id += len(rules)
        self.rules += rules
        return [rule.id for rule in rules]

    def count(self, request, stage):
        entry = self.log.setdefault(request.operation(), {"arrived": 0, "forwarded": 0, "applied": 0, "answered": 0})
        entry[stage] += 1

    def pick(self, window, request):
        """The rule that acts now, one of its times used up."""
        for rule in self.rules:
            if rule.matches(window, request):
                if rule.skip > 0:
                    rule.skip -= 1
                    continue
                rule.left -= 1
                return rule
        return None

    async def note(self, rule, window, request):
        entry = {
            "id": self.next_id, "rule": rule.id, "at": window, "then": rule.then, "operation": request.operation(),
            "method": request.first[0], "path": request.first[1], "fired_at": time.time(), "state": "acting",
        }  # fmt: skip
        self.next_id += 1
        self.fired = self.fired[-FIRED_LIMIT:] + [entry]
        await self.tell()
        return entry

    async def tell(self):
        async with self.changed:
            self.changed.notify_all()

    async def act(self, window, request):
        """Runs the rule that applies here, if any. Returns a reply that replaces the cloud's, or None."""
        rule = self.pick(window, request)
        if rule is None:
            return None
        entry = await self.note(rule, window, request)
        await asyncio.sleep(rule.delay_s)
        try:
            return await getattr(self, rule.then)(rule, entry)
        finally:
            entry["done_at"] = time.time()
            await self.tell()

    async def hold(self, rule, entry):
        released = asyncio.get_running_loop().create_future()
        self.held[entry["id"]], entry["state"] = released, "held"
        await self.tell()
        try:
            then = await asyncio.wait_for(released, rule.hold_s)
        except asyncio.TimeoutError:
            then = "drop"
        self.held.pop(entry["id"], None)
        entry["state"] = "passed" if then == "pass" else "dropped"
        if then == "drop":
            raise Dropped

    async def drop(self, rule, entry):
        entry["state"] = "dropped"
        raise Dropped

    async def kill_pid(self, rule, entry):
        entry["pid"] = rule.pid
        try:
            os.kill(rule.pid, signal.SIGKILL)
            entry["state"] = "killed"
        except OSError as error:
            entry["state"] = f"kill failed: {error.strerror}"
        raise Dropped

    async def reply(self, rule, entry):
        entry["state"] = "replied"
        reply = rule.spec["reply"]
        return make_reply(reply["status"], str(reply.get("body", "")).encode(), reply.get("headers"))

    async def pass_(self, rule, entry):
        entry["state"] = "passed"


setattr(Faults, "pass", Faults.pass_)  # the word is Python's


# ---------------------------------------------------------------- the proxy


def reset(writer):
    """Ends a connection as a dying peer does: RST, no matter what was still to be sent."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Proxy:
    def __init__(self, faults, upstream):
        self.faults, self.upstream = faults, upstream

    async def serve(self, reader, writer):
        # drain() then means "the kernel has every byte", which "sent" has to mean.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            while request := await read_request(reader, writer):
                if await self.call(request, writer):
                    break
        except Dropped:
            reset(writer)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError, IndexError) as error:
            print(f"connection given up: {error!r}", flush=True)
        finally:
            writer.close()

    async def call(self, request, writer):
        """One request and its reply; true when the connection ends with it."""
        self.faults.count(request, "arrived")
        reply = await self.faults.act("before_forward", request)
        if reply is None:
            reply = await self.forward(request)
            reply = await self.faults.act("after_forward_hold_reply", request) or reply
        writer.write(reply.raw)
        await writer.drain()
        self.faults.count(request, "answered")
        try:
            await self.faults.act("after_reply_sent", request)
        except Dropped:
            return True  # closed politely: a reset could overtake the answer
        return reply.closes() or request.closes()

    async def forward(self, request):
        self.faults.count(request, "forwarded")
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.upstream, limit=HEAD_LIMIT)
        except OSError:
            return json_reply(502, {"error": "the cloud behind the fault proxy does not answer"})
        try:
            writer.write(request.raw)
            await writer.drain()
            reply = await read_reply(reader, request.first[0])
        finally:
            writer.close()
        self.faults.count(request, "applied")
        return reply


# ---------------------------------------------------------------- control


class Control:
    def __init__(self, faults):
        self.faults = faults
        self.routes = {
            ("GET", "/health"): self.health, ("GET", "/rules"): self.rules, ("POST", "/rules"): self.arm,
            ("DELETE", "/rules"): self.disarm, ("GET", "/fired"): self.fired, ("POST", "/release"): self.release,
            ("GET", "/log"): self.log, ("POST", "/reset"): self.reset,
        }  # fmt: skip

    async def serve(self, reader, writer):
        try:
            while request := await read_request(reader, writer):
                writer.write((await self.answer(request)).raw)
                await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError, IndexError):
            pass
        finally:
            writer.close()

    async def answer(self, request):
        url = urlsplit(request.first[1])
        route = self.routes.get((request.first[0], url.path))
        if route is None:
            return json_reply(404, {"error": "no such path", "paths": [" ".join(known) for known in self.routes]})
        try:
            body = json.loads(request.body) if request.body else None
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            return json_reply(200, await route(body, query))
        except (ValueError, TypeError, AttributeError, KeyError, re.error) as error:
            return json_reply(400, {"error": str(error)})

    async def health(self, body, query):
        return {"ok": True, "pid": os.getpid()}

    async def rules(self, body, query):
        return {"rules": [rule.shown() for rule in self.faults.rules]}

    async def arm(self, body, query):
        return {"ids": self.faults.arm(body if isinstance(body, list) else [body])}

    async def disarm(self, body, query):
        self.faults.rules = []
        return {"rules": []}

    async def fired(self, body, query):
        """With count, waits until so many have fired and are held or done: a test needs no sleep."""
        count, wait_s = int(query.get("count", 0)), min(float(query.get("wait_s", 0)), WAIT_LIMIT_S)

        def settled():
            return sum(entry["state"] != "acting" for entry in self.faults.fired) >= count

        async with self.faults.changed:
            try:
                await asyncio.wait_for(self.faults.changed.wait_for(settled), wait_s)
            except asyncio.TimeoutError:
                pass  # the answer shows what there is
        return {"fired": self.faults.fired}

    async def release(self, body, query):
        body = body or {}
        then = body.get("then", "pass")
        require(then in ("pass", "drop"), "then must be pass or drop")
        ids = [body["id"]] if "id" in body else list(self.faults.held)
        released = [one for one in ids if one in self.faults.held and not self.faults.held[one].done()]
        for one in released:
            self.faults.held[one].set_result(then)
        return {"released": released}

    async def log(self, body, query):
        return {"operations": self.faults.log}

    async def reset(self, body, query):
        self.faults.clear()
        return {"ok": True}


async def run(options):
    faults = Faults()
    servers = [
        await asyncio.start_server(handler, "127.0.0.1", port, limit=HEAD_LIMIT)
        for handler, port in ((Proxy(faults, options.upstream).serve, options.listen), (Control(faults).serve, options.control))
    ]
    await asyncio.gather(*(server.serve_forever() for server in servers))


def main():
    parser = argparse.ArgumentParser(description="HTTP/1.1 proxy with faults at exact moments (loopback only)")
    for name, text in (("listen", "port for the system under test"), ("control", "port of the control API"), ("upstream", "port of the cloud")):
        parser.add_argument(f"--{name}", type=int, required=True, help=text)
    asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
