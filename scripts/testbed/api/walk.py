"""The newcomer's path by a client that was generated from the OpenAPI document: nothing here knows a path or a field
that the document does not name. Usage: walk.py URL ADMIN_TOKEN, with the generated package on PYTHONPATH."""

import datetime
import sys
import time

from infra_client import AuthenticatedClient
from infra_client.api.keys import list_keys, save_key
from infra_client.api.offers import list_offerings, quote
from infra_client.api.people import add_user, issue_token
from infra_client.api.reservations import (
    change_reservation,
    list_reservations,
    release_reservation,
    reserve,
    show_reservation,
)
from infra_client.models import (
    NewKey,
    NewToken,
    NewUser,
    Phase,
    Power,
    Problem,
    ReservationChange,
    ReservationRequest,
)

steps = 0


def done(call, status, **arguments):
    """One call; its status must be the expected one and its body of the documented type."""
    global steps
    response = call.sync_detailed(**arguments)
    assert response.status_code == status, (call.__name__, response.status_code, response.content)
    assert status >= 400 or not isinstance(response.parsed, Problem), (call.__name__, response.parsed)
    steps += 1
    return response


def until(client, user, reservation, wanted):
    """Looks until it is in a state, for at most a minute."""
    for _ in range(120):
        seen = done(show_reservation, 200, client=client, user=user, id=reservation).parsed
        if seen.state == wanted:
            return seen
        time.sleep(0.5)
    raise AssertionError(f"{reservation} is {seen.state} and not {wanted}: {seen.reason}")


def main(url, admin_token):
    strict = {"raise_on_unexpected_status": True, "timeout": 90.0}
    admin = AuthenticatedClient(base_url=url, token=admin_token, **strict)
    name = "walker/one"
    user = done(add_user, 201, client=admin, body=NewUser(name=name)).parsed
    assert user.name == name and user.team is None
    token = done(issue_token, 201, client=admin, user=name, body=NewToken(label="walk")).parsed
    me = AuthenticatedClient(base_url=url, token=token.token, **strict)

    key = NewKey(provider="sim", kind="static")
    key["token"] = "sim-walker"
    assert done(save_key, 201, client=me, user=name, body=key).parsed.status == "valid"
    assert [key.label for key in done(list_keys, 200, client=me, user=name).parsed.items] == ["default"]
    assert done(list_offerings, 200, client=me, user=name, limit=3).parsed.next_ is not None
    wish = ReservationRequest(count=2, vcpus=2, memory_gib=4, os="ubuntu 24.04", duration_s=3600)
    best = done(quote, 200, client=me, user=name, body=wish).parsed.items[0]
    assert float(best.per_hour.amount) > 0 and best.vcpus >= 2

    arguments = {"client": me, "user": name, "body": wish, "idempotency_key": "walk-1"}
    ready = done(reserve, 200, wait="60s", **arguments).parsed
    assert ready.state == Phase.READY and len(ready.units) == 2, ready
    again = done(reserve, 202, **arguments).parsed
    assert again.id == ready.id, "the same key makes the same reservation"
    one = {"client": me, "user": name, "id": ready.id}

    stale = '"1"'
    problem = done(change_reservation, 409, body=ReservationChange(power=Power.OFF), if_match=stale, **one).parsed
    assert problem.type_ == "urn:infra:problem:conflict", problem
    done(change_reservation, 200, body=ReservationChange(power=Power.OFF), **one)
    until(me, name, ready.id, Phase.STOPPED)
    done(change_reservation, 200, body=ReservationChange(power=Power.ON), **one)
    running = until(me, name, ready.id, Phase.READY)
    later = running.ends_at + datetime.timedelta(hours=2)
    extended = done(change_reservation, 200, body=ReservationChange(ends_at=later), **one).parsed
    assert extended.ends_at == later, (extended.ends_at, later)
    assert [item.id for item in done(list_reservations, 200, client=me, user=name).parsed.items] == [ready.id]

    assert done(release_reservation, 202, **one).parsed.state == Phase.RELEASING
    until(me, name, ready.id, Phase.RELEASED)
    assert done(release_reservation, 410, **one).parsed.type_ == "urn:infra:problem:released"
    assert done(list_reservations, 200, client=me, user=name).parsed.items == []
    print(f"COUNT generated_client language=python calls={steps}")


if __name__ == "__main__":
    main(*sys.argv[1:])
