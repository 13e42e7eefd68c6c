"""Makes Neutron's tables and a pretended Open vSwitch agent, so that the real ML2 driver binds ports on host fake1.

    neutron_schema.py DATABASE_URL
"""

import datetime
import json
import sys

import sqlalchemy
from neutron.db.migration.models import head  # noqa: F401  imports every model
from neutron.db.models.agent import Agent
from neutron_lib.db import model_base
from sqlalchemy.orm import Session

engine = sqlalchemy.create_engine(sys.argv[1])
model_base.BASEV2.metadata.create_all(engine)
now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
bindings = {"bridge_mappings": {}, "tunnel_types": [], "datapath_type": "system", "ovs_hybrid_plug": False}
with Session(engine) as session:
    session.add(
        Agent(
            id="11111111-1111-1111-1111-111111111111",
            agent_type="Open vSwitch agent",
            binary="neutron-openvswitch-agent",
            topic="N/A",
            host="fake1",
            admin_state_up=True,
            created_at=now,
            started_at=now,
            heartbeat_timestamp=now,
            load=0,
            configurations=json.dumps(bindings),
        )
    )
    session.commit()
