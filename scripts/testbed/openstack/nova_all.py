"""Nova's API, conductor, scheduler and one compute host in one process: the messages between them stay in memory.

    nova_all.py PORT        OS_NOVA_CONFIG_DIR names the folder of nova.conf
"""

import os
import sys

port = int(sys.argv[1])
sys.argv = ["nova-all", "--config-file", os.path.join(os.environ["OS_NOVA_CONFIG_DIR"], "nova.conf")]

from nova import monkey_patch  # noqa: E402

monkey_patch.patch(backend="threading")

import nova.conf  # noqa: E402
import nova.virt  # noqa: E402
import nova.virt.fake  # noqa: E402,F401
import os_vif  # noqa: E402
import waitress  # noqa: E402
from nova import context, service  # noqa: E402
from nova.api.openstack import wsgi_app  # noqa: E402
from nova.compute import rpcapi as compute_rpcapi  # noqa: E402
from nova.conductor import rpcapi as conductor_rpcapi  # noqa: E402
from nova.objects import host_mapping  # noqa: E402
from nova.scheduler import rpcapi as scheduler_rpcapi  # noqa: E402

import faulty  # noqa: E402

application = wsgi_app.init_application("osapi_compute", "nova-api-os-compute")
os_vif.initialize()
# Nova looks for drivers below nova.virt.
sys.modules["nova.virt.faulty"] = nova.virt.faulty = faulty


def start(binary, topic):
    part = service.Service.create(binary=binary, topic=topic)
    part.start()
    return part


parts = [
    start("nova-conductor", conductor_rpcapi.RPC_TOPIC),
    start("nova-scheduler", scheduler_rpcapi.RPC_TOPIC),
    start("nova-compute", compute_rpcapi.RPC_TOPIC),
]
found = host_mapping.discover_hosts(context.get_admin_context())
print("discovered", len(found), "hosts", flush=True)
waitress.serve(application, host="127.0.0.1", port=port, threads=16, ident=None, max_request_body_size=1 << 30)
